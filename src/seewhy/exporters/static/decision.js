/* How logits become an answer: temperature, "not sure" and "out of distribution", as in `seewhy predict`. */

const sum = (values) => values.reduce((total, value) => total + value, 0);

/** The answer to one image: {label, confidence, answer, top: [{label, confidence}]}, the likeliest class first. */
export function decide(logits, embedding, { temperature, threshold, scope }, classes, count) {
  const highest = Math.max(...logits);
  const parts = logits.map((logit) => Math.exp((logit - highest) / temperature)), total = sum(parts);
  const order = [...logits.keys()].sort((one, other) => logits[other] - logits[one] || one - other);
  const top = order.slice(0, count).map((place) => ({ label: classes[place], confidence: parts[place] / total }));
  const [{ label, confidence }] = top;
  let answer = label;
  if (threshold !== null && confidence < threshold) answer = "not sure";
  if (scope !== null && familiarity(scope, { logits, highest, embedding, confidence }) < scope.threshold) answer = "out of distribution";
  return { label, confidence, answer, top };
}

/** How familiar an image looks, by the score of the model (`evaluation.decision.ood`). */
function familiarity({ score, means }, { logits, highest, embedding, confidence }) {
  if (score === "probability") return confidence;
  if (score === "max_logit") return highest;
  if (score === "energy") return highest + Math.log(sum(logits.map((logit) => Math.exp(logit - highest))));
  const length = Math.hypot(...embedding) || 1;
  return Math.max(...means.map((mean) => sum(mean.map((value, place) => (value * embedding[place]) / length))));
}
