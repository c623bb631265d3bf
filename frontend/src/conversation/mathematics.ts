// Loaded with the first formula.

import "katex/dist/katex.min.css";
import rehypeKatex from "rehype-katex";
import remarkMath from "remark-math";
import type { Additions } from "./Markdown";

export const additions: Additions = {
  remark: [remarkMath],
  // What a model gets wrong is shown as it is written; nothing may load or link from a formula.
  rehype: [[rehypeKatex, { throwOnError: false, strict: "ignore", trust: false }]],
};
