// What of the course an answer stands on, folded away below it.

import { worded } from "./words.js";

/** `items`: the engine's, each {document, page, quote}. Documents are strangers' texts: nothing but text. */
export function sourcesNode(items) {
  const node = document.createElement("details");
  node.className = "sources";
  const documents = [...new Set(items.map((item) => item.document))];
  const summary = document.createElement("summary");
  const label = worded("span", documents.length > 1 ? "sources" : "source");
  summary.append(label, ` ${documents.join(", ")}`);
  node.append(summary, ...items.map(quoted));
  node.ontoggle = () => node.open && node.scrollIntoView({ block: "nearest" });
  return node;
}

function quoted({ document: name, page, quote }) {
  const figure = document.createElement("figure");
  const words = document.createElement("blockquote");
  words.textContent = quote;
  const place = document.createElement("figcaption");
  place.append(name);
  if (typeof page === "number") place.append(" · ", worded("span", "page", { page }));
  figure.append(words, place);
  return figure;
}
