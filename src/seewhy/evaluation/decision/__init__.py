"""How logits become an answer: temperature, abstention, out of distribution."""
