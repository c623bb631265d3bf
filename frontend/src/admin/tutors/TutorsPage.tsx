import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { GraduationCap, UserRoundPlus } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { Empty } from "../../parts/Empty";
import { TutorPicture } from "../../parts/TutorPicture";
import { useLanguageName } from "../../parts/useLanguageName";
import { pictured } from "../faces/picture";
import type { Tutor } from "../models";
import { Head } from "../parts/Head";
import { Loaded } from "../parts/Loaded";
import parts from "../parts/Parts.module.css";
import { State } from "../parts/State";
import { TUTORS } from "../queries";
import { kindOf } from "./kind";
import classes from "./Tutors.module.css";

export function TutorsPage() {
  const { t } = useTranslation("admin");
  const icon = <UserRoundPlus size={18} aria-hidden />;
  return (
    <>
      <Head title={t("tutors.title")} hint={t("tutors.hint")}>
        <Button component={Link} to="new" leftSection={icon}>
          {t("tutors.add")}
        </Button>
      </Head>
      <Loaded query={useQuery(TUTORS)}>{(tutors) => <Tutors tutors={tutors} />}</Loaded>
    </>
  );
}

function Tutors({ tutors }: { tutors: Tutor[] }) {
  const { t } = useTranslation("admin");
  if (!tutors.length) {
    const icon = <GraduationCap size={36} aria-hidden />;
    return <Empty icon={icon} title={t("tutors.empty")} hint={t("tutors.emptyHint")} />;
  }
  return (
    <ul className={parts.rows}>
      {tutors.map((tutor) => (
        <li key={tutor.id} className={classes.entry}>
          <Entry tutor={tutor} />
        </li>
      ))}
    </ul>
  );
}

function Entry({ tutor }: { tutor: Tutor }) {
  const { t } = useTranslation("admin");
  const nameOf = useLanguageName();
  return (
    <Link to={String(tutor.id)} className={classes.tutor}>
      <span className={classes.picture}>
        <TutorPicture tutor={pictured({ name: tutor.face, kind: kindOf(tutor.face) })} />
      </span>
      <span className={classes.words}>
        <span className={parts.who}>{tutor.name}</span>
        <span className={parts.facts}>
          {tutor.subject && <span>{tutor.subject}</span>}
          <span>{tutor.language ? nameOf(tutor.language) : t("tutors.anyLanguage")}</span>
          {tutor.kb_id && <span>{t("tutors.course")}</span>}
        </span>
      </span>
      <State tone={tutor.published ? "good" : "quiet"}>
        {t(tutor.published ? "tutors.published" : "tutors.unpublished")}
      </State>
    </Link>
  );
}
