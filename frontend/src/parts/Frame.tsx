import { useTranslation } from "react-i18next";
import { Link, Outlet, useMatch } from "react-router";
import { AccountMenu } from "./AccountMenu";
import classes from "./Frame.module.css";
import { Mark } from "./Mark";

/** What surrounds every page but the login. */
export function Frame() {
  const { t } = useTranslation();
  const isLesson = useMatch("/lesson/:tutorId") !== null;
  return (
    <div className={classes.frame} data-lesson={isLesson || undefined}>
      <header className={classes.bar}>
        <Link to="/" className={classes.home}>
          <Mark />
          <span>{t("app.name")}</span>
        </Link>
        <AccountMenu />
      </header>
      <main id="content" className={classes.content} tabIndex={-1}>
        <Outlet />
      </main>
    </div>
  );
}
