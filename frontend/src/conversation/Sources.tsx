import { BookMarked } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { SourceItem } from "../wire/generated";
import classes from "./Sources.module.css";

/** What of the course an answer stands on; opens under it. */
export function Sources({ items }: { items: SourceItem[] }) {
  const { t } = useTranslation();
  if (!items.length) return null;
  return (
    <details className={classes.sources}>
      <summary>
        <BookMarked size={16} aria-hidden /> {t("lesson.sources", { count: items.length })}
      </summary>
      <ul>
        {items.map(({ document, page, quote }) => (
          <li key={`${document} ${page} ${quote}`}>
            <cite>
              {document}
              {page !== undefined && <span> · {t("lesson.page", { page })}</span>}
            </cite>
            <blockquote>{quote}</blockquote>
          </li>
        ))}
      </ul>
    </details>
  );
}
