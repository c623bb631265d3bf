import { Alert, Button, PasswordInput, SegmentedControl, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Navigate, useLocation } from "react-router";
import { Refusal } from "../api/http";
import { useIsLoggedIn, useLogin, useUser } from "../auth/useLogin";
import { type Language, speak } from "../i18n";
import { Mark } from "../parts/Mark";
import { useSentence } from "../parts/useSentence";
import classes from "./LoginPage.module.css";

export function LoginPage() {
  const { t, i18n } = useTranslation();
  const isLoggedIn = useIsLoggedIn();
  const from = (useLocation().state as { from?: string } | null)?.from;
  const { data: user } = useUser();
  // An administrator may have been here before somebody else.
  const isTheirs = !from?.startsWith("/admin") || user?.role === "admin";
  if (isLoggedIn) return <Navigate to={(isTheirs && from) || "/"} replace />;
  return (
    <div className={classes.page}>
      <section className={classes.board} aria-hidden>
        <p className={classes.chalk}>{t("login.board")}</p>
        <p className={classes.hint}>{t("login.boardHint")}</p>
        <Drawing />
      </section>
      <main id="content" className={classes.desk} tabIndex={-1}>
        <div className={classes.sheet}>
          <div className={classes.mark}>
            <Mark size={44} />
            <span>{t("app.name")}</span>
          </div>
          <h1>{t("login.title")}</h1>
          <LoginForm />
          <p className={classes.foot}>{t("login.hint")}</p>
          <SegmentedControl
            size="xs"
            aria-label={t("menu.language")}
            value={i18n.language}
            onChange={(language) => speak(language as Language)}
            data={[
              { value: "zh", label: "中文" },
              { value: "en", label: "English" },
            ]}
          />
        </div>
      </main>
    </div>
  );
}

/** In the reader's language: it is what goes wrong most. */
const isWrong = (error: unknown) => error instanceof Refusal && error.status === 401;

function LoginForm() {
  const { t, i18n } = useTranslation();
  const login = useLogin();
  const sentence = useSentence();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [wasSent, setWasSent] = useState(false);
  /** In which language the server answered; its sentence is not shown in another one. */
  const [askedIn, setAskedIn] = useState(i18n.language);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setWasSent(true);
    setAskedIn(i18n.language);
    if (email.trim() && password) login.mutate({ email: email.trim(), password });
  };
  return (
    <form onSubmit={submit} noValidate className={classes.form}>
      {login.isError && askedIn === i18n.language && (
        <Alert color="clay" variant="light" role="alert">
          {isWrong(login.error) ? t("login.wrong") : sentence(login.error)}
        </Alert>
      )}
      <TextInput
        label={t("login.email")}
        type="email"
        name="email"
        autoComplete="username"
        size="md"
        value={email}
        onChange={(event) => setEmail(event.currentTarget.value)}
        error={wasSent && !email.trim() && t("login.emailMissing")}
      />
      <PasswordInput
        label={t("login.password")}
        name="password"
        autoComplete="current-password"
        visibilityToggleButtonProps={{ "aria-label": t("login.showPassword") }}
        size="md"
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        error={wasSent && !password && t("login.passwordMissing")}
      />
      <Button type="submit" size="md" fullWidth loading={login.isPending}>
        {t("login.submit")}
      </Button>
    </form>
  );
}

/** Chalk on the board: a triangle with its height, a wave, and a sun. */
function Drawing() {
  return (
    <svg
      aria-hidden
      className={classes.drawing}
      viewBox="0 0 480 220"
      fill="none"
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      <path d="M40 190 L150 50 L230 190 Z" />
      <path d="M150 54 L150 188" strokeDasharray="6 9" />
      <path d="M150 174h14v14" />
      <path d="M262 132c16-52 38-52 54 0s38 52 54 0 38-52 54 0" />
      <path d="M254 132h186m-10-7 12 7-12 7" opacity=".5" />
      <g className={classes.sun}>
        <circle cx="398" cy="46" r="17" />
        <path d="M398 14v-8M398 86v-8M430 46h8M358 46h8M421 23l6-6M369 75l6-6M421 69l6 6M369 17l6 6" />
      </g>
    </svg>
  );
}
