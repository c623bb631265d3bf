import { type ComponentProps, useEffect, useState } from "react";
import ReactMarkdown, { type Components, type Options } from "react-markdown";
import remarkGfm from "remark-gfm";
import { dollarsOf, needsOf } from "./formulas";
import classes from "./Markdown.module.css";

export interface Additions {
  remark: NonNullable<Options["remarkPlugins"]>;
  rehype: NonNullable<Options["rehypePlugins"]>;
}

const NONE: Additions = { remark: [], rehype: [] };

/** What a tutor writes: Markdown with formulas and code. HTML in it is shown as text. */
export function Markdown({ text }: { text: string }) {
  const dollars = dollarsOf(text);
  const { formulas, code } = needsOf(dollars);
  const mathematics = useAdditions(formulas, loadMathematics);
  const programs = useAdditions(code, loadCode);
  return (
    <div className={classes.text}>
      <ReactMarkdown
        remarkPlugins={[remarkGfm, ...mathematics.remark]}
        rehypePlugins={[...mathematics.rehype, ...programs.rehype]}
        components={COMPONENTS}
      >
        {dollars}
      </ReactMarkdown>
    </div>
  );
}

const loadMathematics = async () => (await import("./mathematics")).additions;
const loadCode = async () => (await import("./code")).additions;

/** Until they have come the text is shown without them. */
function useAdditions(wanted: boolean, load: () => Promise<Additions>): Additions {
  const [additions, setAdditions] = useState(NONE);
  useEffect(() => {
    if (wanted) load().then(setAdditions, () => {}); // the text is whole without them
  }, [wanted, load]);
  return wanted ? additions : NONE;
}

const COMPONENTS: Components = {
  a: ({ href, children }) => (
    <a href={href} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  ),
  // A picture from elsewhere would tell its server who is learning what.
  img: ({ alt }) => <span>{alt}</span>,
  table: ({ node: _, ...props }: ComponentProps<"table"> & { node?: unknown }) => (
    <div className={classes.wide}>
      <table {...props} />
    </div>
  ),
};
