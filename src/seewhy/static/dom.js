/* Elements whose text is always set as text, never as markup. */

export const byId = (id) => document.getElementById(id);

/** An element with a class and children: text, elements, or null for none. */
export function make(tag, kind, ...children) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A name from outside, isolated so that its direction changes no text beside it. */
export const named = (name, kind) => make("bdi", kind, visible(name));

const ESCAPES = { "\t": "\\t", "\n": "\\n", "\r": "\\r" };

function escaped(character) {
  const code = character.codePointAt(0), hex = code.toString(16);
  if (ESCAPES[character]) return ESCAPES[character];
  return code < 0x100 ? `\\x${hex.padStart(2, "0")}` : code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}

/** A name with what cannot be printed spelled out, as everywhere in SeeWhy. */
export const visible = (text) => text.replace(/(?! )[\p{C}\p{Z}]/gu, escaped);

/** A probability: never 100% or 0% unless it is exactly that. */
export function percent(probability) {
  if (probability > 0 && probability < 0.005) return "<1%";
  if (probability < 1 && probability >= 0.995) return ">99%";
  return `${Math.round(100 * probability)}%`;
}

/** A number with its noun: "1 image", "2,000 images". */
export const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : noun.endsWith("s") ? "es" : "s"}`;

/** A `select` with an option for each [value, text]. */
export function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => {
    const option = make("option", "", text);
    option.value = value;
    return option;
  }));
  select.value = chosen;
  return select;
}
