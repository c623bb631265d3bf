import { Button, Modal, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { BookOpen, BookPlus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import { call } from "../../api/http";
import { Empty } from "../../parts/Empty";
import type { Base } from "../models";
import { Head } from "../parts/Head";
import { Loaded } from "../parts/Loaded";
import parts from "../parts/Parts.module.css";
import { Refused } from "../parts/Refused";
import { BASES, useChange } from "../queries";
import classes from "./Knowledge.module.css";

export function BasesPage() {
  const { t } = useTranslation("admin");
  const [isNaming, setIsNaming] = useState(false);
  return (
    <>
      <Head title={t("bases.title")} hint={t("bases.hint")}>
        <Button leftSection={<BookPlus size={18} aria-hidden />} onClick={() => setIsNaming(true)}>
          {t("bases.add")}
        </Button>
      </Head>
      <Loaded query={useQuery({ ...BASES, staleTime: 0 })}>{(bases) => <Bases bases={bases} />}</Loaded>
      {isNaming && <Naming close={() => setIsNaming(false)} />}
    </>
  );
}

function Bases({ bases }: { bases: Base[] }) {
  const { t } = useTranslation("admin");
  if (!bases.length) {
    const icon = <BookOpen size={36} aria-hidden />;
    return <Empty icon={icon} title={t("bases.empty")} hint={t("bases.emptyHint")} />;
  }
  return (
    <ul className={parts.rows}>
      {bases.map((base) => (
        <li key={base.kb_id} className={classes.entry}>
          <Link to={base.kb_id} className={classes.base}>
            <span className={parts.who}>{base.name}</span>
            <span className={parts.facts}>
              <span>{t("bases.documents", { count: base.documents })}</span>
              <span>{t("bases.passages", { count: base.passages })}</span>
              <span>
                {base.embedder ? t("bases.byMeaning", { model: base.embedder }) : t("bases.byWords")}
              </span>
            </span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

function Naming({ close }: { close: () => void }) {
  const { t } = useTranslation("admin");
  const navigate = useNavigate();
  const [name, setName] = useState("");
  const [wasSent, setWasSent] = useState(false);
  const make = useChange(
    (given: string) => call<Base>("POST", "/api/admin/knowledge", { name: given }),
    [BASES.queryKey],
    (base) => navigate(base.kb_id),
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setWasSent(true);
    if (name.trim()) make.mutate(name);
  };
  return (
    <Modal
      opened
      onClose={close}
      title={t("bases.add")}
      centered
      closeButtonProps={{ "aria-label": t("app.close") }}
    >
      <form onSubmit={submit} noValidate className={parts.form}>
        <Refused error={make.error} />
        <TextInput
          label={t("bases.name")}
          placeholder={t("bases.nameExample")}
          name="name"
          maxLength={100}
          autoComplete="off"
          data-autofocus
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={wasSent && !name.trim() && t("bases.nameMissing")}
        />
        <div className={parts.buttons}>
          <Button variant="default" onClick={close}>
            {t("app.cancel")}
          </Button>
          <Button type="submit" loading={make.isPending}>
            {t("bases.make")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
