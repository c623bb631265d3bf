import { Button, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { Search } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { call } from "../../api/http";
import type { FoundPublic } from "../../wire/generated";
import parts from "../parts/Parts.module.css";
import { Refused } from "../parts/Refused";
import { basePath } from "../queries";
import classes from "./Knowledge.module.css";

const MAX_QUERY_CHARS = 2_000; // the web server's

/** What a tutor would find for a question. */
export function TrySearch({ kbId }: { kbId: string }) {
  const { t } = useTranslation("admin");
  const [question, setQuestion] = useState("");
  const search = useMutation({
    mutationFn: (q: string) =>
      call<FoundPublic[]>("GET", `${basePath(kbId)}/search?${new URLSearchParams({ q, limit: "5" })}`),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (question.trim()) search.mutate(question.trim());
  };
  return (
    <section className={parts.sheet}>
      <h2>{t("search.title")}</h2>
      <form onSubmit={submit} className={classes.search}>
        <TextInput
          label={t("search.question")}
          description={t("search.hint")}
          name="question"
          maxLength={MAX_QUERY_CHARS}
          value={question}
          onChange={(event) => setQuestion(event.currentTarget.value)}
        />
        <Button type="submit" loading={search.isPending} leftSection={<Search size={16} aria-hidden />}>
          {t("search.submit")}
        </Button>
      </form>
      <div aria-live="polite">
        <Refused error={search.error} />
        {search.data?.length === 0 && <p>{t("search.nothing")}</p>}
        {search.data?.map((found) => (
          <Found key={`${found.document} ${found.number}`} found={found} />
        ))}
      </div>
    </section>
  );
}

function Found({ found }: { found: FoundPublic }) {
  const { t, i18n } = useTranslation("admin");
  const score = new Intl.NumberFormat(i18n.language, { style: "percent" }).format(found.score);
  return (
    <figure className={classes.found}>
      <figcaption className={parts.facts}>
        <strong>{found.document}</strong>
        {found.page !== null && <span>{t("search.page", { page: found.page })}</span>}
        {found.heading && <span>{found.heading}</span>}
        <span>{t("search.score", { score })}</span>
      </figcaption>
      <blockquote>{found.text}</blockquote>
    </figure>
  );
}
