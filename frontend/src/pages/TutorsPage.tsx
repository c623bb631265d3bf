import { Skeleton, VisuallyHidden } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { BookOpen, UsersRound } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { call } from "../api/http";
import type { TutorCard } from "../api/models";
import { useUser } from "../auth/useLogin";
import { Empty } from "../parts/Empty";
import { Trouble } from "../parts/Trouble";
import { TutorPicture } from "../parts/TutorPicture";
import { useLanguageName } from "../parts/useLanguageName";
import classes from "./TutorsPage.module.css";

export const TUTORS = {
  queryKey: ["tutors"],
  queryFn: () => call<TutorCard[]>("GET", "/api/student/tutors"),
};

export function TutorsPage() {
  const { t } = useTranslation();
  const { data: user } = useUser();
  return (
    <div className={classes.page}>
      <p className={classes.greeting}>{t("tutors.greeting", { name: user?.name ?? "" })}</p>
      <h1 className={classes.title}>{t("tutors.title")}</h1>
      <Tutors isAdmin={user?.role === "admin"} />
    </div>
  );
}

function Tutors({ isAdmin }: { isAdmin: boolean }) {
  const { t } = useTranslation();
  const tutors = useQuery(TUTORS);
  if (tutors.isPending) return <Waiting />;
  if (tutors.isError) return <Trouble error={tutors.error} retry={tutors.refetch} />;
  if (!tutors.data.length) {
    const hint = isAdmin ? t("tutors.emptyAdmin") : t("tutors.emptyStudent");
    return <Empty icon={<UsersRound size={36} aria-hidden />} title={t("tutors.empty")} hint={hint} />;
  }
  return (
    <ul className={classes.tutors}>
      {tutors.data.map((tutor) => (
        <li key={tutor.id}>
          <Card tutor={tutor} />
        </li>
      ))}
    </ul>
  );
}

function Card({ tutor }: { tutor: TutorCard }) {
  const { t } = useTranslation();
  const nameOf = useLanguageName();
  return (
    <Link to={`/lesson/${tutor.id}`} className={classes.card}>
      <VisuallyHidden>{t("tutors.begin", { name: tutor.name })}</VisuallyHidden>
      <span className={classes.window}>
        <TutorPicture tutor={tutor} />
      </span>
      <span className={classes.words}>
        <span className={classes.name}>{tutor.name}</span>
        {tutor.subject && <span className={classes.subject}>{tutor.subject}</span>}
        {tutor.description && <span className={classes.description}>{tutor.description}</span>}
        <span className={classes.facts}>
          <span>{tutor.language ? nameOf(tutor.language) : t("tutors.anyLanguage")}</span>
          {tutor.has_course && (
            <span>
              <BookOpen size={15} aria-hidden /> {t("tutors.course")}
            </span>
          )}
        </span>
      </span>
    </Link>
  );
}

function Waiting() {
  const { t } = useTranslation();
  return (
    <div className={classes.tutors} role="status">
      <span className="unseen">{t("app.loading")}</span>
      {[1, 2, 3].map((place) => (
        <Skeleton key={place} height={380} radius="lg" aria-hidden />
      ))}
    </div>
  );
}
