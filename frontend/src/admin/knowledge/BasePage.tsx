import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate, useParams } from "react-router";
import { call } from "../../api/http";
import { NothingHere } from "../../pages/NothingHere";
import type { Base } from "../models";
import { Confirm } from "../parts/Confirm";
import { Head } from "../parts/Head";
import { Loaded } from "../parts/Loaded";
import { BASES, basePath, useChange } from "../queries";
import { Documents } from "./Documents";
import classes from "./Knowledge.module.css";
import { TrySearch } from "./TrySearch";

/** One knowledge base: its documents, and a try of what is found in them. */
export function BasePage() {
  const { kbId } = useParams();
  return (
    <Loaded query={useQuery(BASES)}>
      {(bases) => {
        const base = bases.find(({ kb_id }) => kb_id === kbId);
        return base ? <Shelf base={base} /> : <NothingHere />;
      }}
    </Loaded>
  );
}

function Shelf({ base }: { base: Base }) {
  const { t } = useTranslation("admin");
  const navigate = useNavigate();
  const [isDeleting, setIsDeleting] = useState(false);
  const drop = useChange(() => call("DELETE", basePath(base.kb_id)), [BASES.queryKey]);
  return (
    <>
      <Link to="/admin/knowledge" className={classes.back}>
        {t("bases.back")}
      </Link>
      <Head
        title={base.name}
        hint={base.embedder ? t("bases.byMeaning", { model: base.embedder }) : t("bases.byWordsLong")}
      >
        <Button
          variant="default"
          leftSection={<Trash2 size={16} aria-hidden />}
          onClick={() => setIsDeleting(true)}
        >
          {t("bases.delete")}
        </Button>
      </Head>
      <Documents kbId={base.kb_id} />
      <TrySearch kbId={base.kb_id} />
      {isDeleting && (
        <Confirm
          title={t("bases.deleteTitle", { name: base.name })}
          hint={t("bases.deleteHint")}
          yes={t("bases.delete")}
          act={async () => {
            await drop.mutateAsync(undefined);
            navigate("/admin/knowledge");
          }}
          close={() => setIsDeleting(false)}
        />
      )}
    </>
  );
}
