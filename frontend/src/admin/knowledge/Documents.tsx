import { useQuery, useQueryClient } from "@tanstack/react-query";
import { FileText } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { call } from "../../api/http";
import { Empty } from "../../parts/Empty";
import type { DocumentPublic } from "../../wire/generated";
import { Bar } from "../parts/Bar";
import { Confirm } from "../parts/Confirm";
import { Drop } from "../parts/Drop";
import { FOLLOWED, Follower } from "../parts/Follower";
import { Loaded } from "../parts/Loaded";
import { Notes } from "../parts/Notes";
import parts from "../parts/Parts.module.css";
import { RemoveButton } from "../parts/RemoveButton";
import { Sendings } from "../parts/Sendings";
import { State, type Tone } from "../parts/State";
import { useBytes } from "../parts/useBytes";
import { useTooLarge } from "../parts/useTooLarge";
import { BASES, basePath, documentsQuery, useChange } from "../queries";
import { uploads } from "../uploads";
import classes from "./Knowledge.module.css";

const KINDS = ".pdf,.docx,.pptx,.md,.markdown,.html,.htm,.txt,.csv";

const TONES: Record<DocumentPublic["state"], Tone> = {
  waiting: "wait",
  reading: "wait",
  indexing: "wait",
  ready: "good",
  failed: "bad",
};

export function Documents({ kbId }: { kbId: string }) {
  const { t } = useTranslation("admin");
  const path = `${basePath(kbId)}/documents`;
  const { renew, replace } = useKept(kbId);
  const documents = useQuery({ ...documentsQuery(kbId), staleTime: 0 });
  const tooLarge = useTooLarge();
  const take = (files: File[]) => {
    for (const file of files) {
      const { name } = file;
      const query = new URLSearchParams({ name });
      const order = { target: path, name, path: `${path}?${query}`, file, done: renew };
      uploads.add({ ...order, refused: tooLarge(file) });
    }
  };
  return (
    <section className={classes.documents} aria-label={t("documents.title")}>
      <Drop button={t("documents.choose")} hint={t("documents.hint")} accept={KINDS} multiple take={take} />
      <Sendings target={path} />
      <Loaded query={documents}>
        {(all) => (
          <>
            <List documents={all} kbId={kbId} />
            {all
              .filter(isUnderWay)
              .slice(0, FOLLOWED)
              .map(({ name }) => (
                <Follower<DocumentPublic>
                  key={name}
                  path={`${path}/${encodeURIComponent(name)}/events`}
                  told={replace}
                  over={renew}
                />
              ))}
          </>
        )}
      </Loaded>
    </section>
  );
}

function isUnderWay({ state }: DocumentPublic): boolean {
  return state !== "ready" && state !== "failed";
}

/** What is known of the documents: asked for anew, or one of them replaced by what was told of it. */
function useKept(kbId: string) {
  const queries = useQueryClient();
  const { queryKey } = documentsQuery(kbId);
  const renew = () => {
    void queries.invalidateQueries({ queryKey });
    void queries.invalidateQueries({ queryKey: BASES.queryKey });
  };
  const replace = (told: DocumentPublic) => {
    queries.setQueryData(queryKey, (all) => all?.map((one) => (one.name === told.name ? told : one)));
    if (!isUnderWay(told)) renew();
  };
  return { renew, replace };
}

function List({ documents, kbId }: { documents: DocumentPublic[]; kbId: string }) {
  const { t } = useTranslation("admin");
  const [removing, setRemoving] = useState<string | null>(null);
  const remove = useChange(
    (name: string) => call("DELETE", `${basePath(kbId)}/documents/${encodeURIComponent(name)}`),
    [documentsQuery(kbId).queryKey, BASES.queryKey],
  );
  if (!documents.length) {
    const icon = <FileText size={36} aria-hidden />;
    return <Empty icon={icon} title={t("documents.empty")} hint={t("documents.emptyHint")} />;
  }
  return (
    <>
      <ul className={parts.rows} aria-label={t("documents.title")}>
        {documents.map((document) => (
          <li key={document.name}>
            <Entry document={document} remove={() => setRemoving(document.name)} />
          </li>
        ))}
      </ul>
      {removing !== null && (
        <Confirm
          title={t("documents.removeTitle", { name: removing })}
          hint={t("documents.removeHint")}
          yes={t("documents.remove")}
          act={() => remove.mutateAsync(removing)}
          close={() => setRemoving(null)}
        />
      )}
    </>
  );
}

function Entry({ document, remove }: { document: DocumentPublic; remove: () => void }) {
  const { t } = useTranslation("admin");
  const { state, reason = "", notes = [] } = document;
  return (
    <>
      <div className={parts.row}>
        <span>
          <span className={parts.who}>{document.name}</span>
          <Facts document={document} />
        </span>
        <State tone={TONES[state]}>{t(`document.${state}`)}</State>
        <RemoveButton label={t("documents.removeOne", { name: document.name })} remove={remove} />
      </div>
      {isUnderWay(document) && (
        <Bar part={document.progress} label={t("documents.progress", { name: document.name })} />
      )}
      {reason && <div role={state === "failed" ? "alert" : "status"}>{reason}</div>}
      <Notes notes={notes} />
    </>
  );
}

function Facts({ document: { pages = 0, passages = 0, bytes = 0 } }: { document: DocumentPublic }) {
  const { t } = useTranslation("admin");
  const size = useBytes();
  return (
    <span className={parts.facts}>
      {bytes > 0 && <span>{size(bytes)}</span>}
      {pages > 0 && <span>{t("documents.pages", { count: pages })}</span>}
      {passages > 0 && <span>{t("bases.passages", { count: passages })}</span>}
    </span>
  );
}
