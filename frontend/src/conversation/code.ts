// Loaded with the first block of code.

import rehypeHighlight from "rehype-highlight";
import type { Additions } from "./Markdown";

export const additions: Additions = { remark: [], rehype: [[rehypeHighlight, { detect: true }]] };
