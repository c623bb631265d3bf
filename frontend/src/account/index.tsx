import { Button, PasswordInput, SegmentedControl, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { call } from "../api/http";
import type { User } from "../api/models";
import { ME, useKeepLanguage, useUser } from "../auth/useLogin";
import { addWords, type Language, speak } from "../i18n";
import { accountEn } from "../i18n/account.en";
import { accountZh } from "../i18n/account.zh";
import classes from "./Account.module.css";
import { Remembered } from "./Remembered";
import { Told } from "./Told";

addWords("account", accountEn, accountZh);

const LEAST_PASSWORD_CHARS = 8; // as the web server demands

/** One's own account, and what the tutors know of one. */
export default function AccountPage() {
  const { t } = useTranslation("account");
  const { data: user } = useUser();
  if (!user) return null;
  return (
    <div className={classes.page}>
      <h1>{t("title")}</h1>
      <Person user={user} />
      <Password />
      <Remembered />
    </div>
  );
}

function Person({ user }: { user: User }) {
  const { t, i18n } = useTranslation("account");
  const queries = useQueryClient();
  const keepLanguage = useKeepLanguage();
  const [name, setName] = useState(user.name);
  const rename = useMutation({
    mutationFn: (given: string) => call<User>("PATCH", "/api/me", { name: given }),
    onSuccess: (now) => queries.setQueryData(ME, now),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim()) rename.mutate(name);
  };
  return (
    <section className={classes.sheet}>
      <h2>{t("person")}</h2>
      <form onSubmit={submit} className={classes.form} noValidate>
        <TextInput
          label={t("name")}
          name="name"
          maxLength={100}
          autoComplete="name"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={!name.trim() && t("nameMissing")}
        />
        <TextInput label={t("email")} description={t("emailHint")} value={user.email} readOnly />
        <div>
          <div className={classes.label} id="language">
            {t("language")}
          </div>
          <SegmentedControl
            aria-labelledby="language"
            value={i18n.language}
            onChange={(language) => {
              speak(language as Language);
              keepLanguage.mutate(language as Language);
            }}
            data={[
              { value: "zh", label: "中文" },
              { value: "en", label: "English" },
            ]}
          />
        </div>
        <Told error={rename.error ?? keepLanguage.error} done={rename.isSuccess && t("nameSaved")} />
        <Button type="submit" loading={rename.isPending} disabled={name.trim() === user.name}>
          {t("saveName")}
        </Button>
      </form>
    </section>
  );
}

function Password() {
  const { t } = useTranslation("account");
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const [wasSent, setWasSent] = useState(false);
  const change = useMutation({
    mutationFn: (given: { old: string; new: string }) => call("POST", "/api/me/password", given),
    onSuccess: () => {
      setOld("");
      setFresh("");
      setWasSent(false);
    },
  });
  const isShort = fresh.length < LEAST_PASSWORD_CHARS;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setWasSent(true);
    if (old && !isShort) change.mutate({ old, new: fresh });
  };
  const toggle = { "aria-label": t("showPassword") };
  return (
    <section className={classes.sheet}>
      <h2>{t("password")}</h2>
      <form onSubmit={submit} className={classes.form} noValidate>
        <PasswordInput
          label={t("oldPassword")}
          name="old"
          autoComplete="current-password"
          visibilityToggleButtonProps={toggle}
          value={old}
          onChange={(event) => setOld(event.currentTarget.value)}
          error={wasSent && !old && t("oldMissing")}
        />
        <PasswordInput
          label={t("newPassword")}
          description={t("newHint", { count: LEAST_PASSWORD_CHARS })}
          name="new"
          autoComplete="new-password"
          visibilityToggleButtonProps={toggle}
          value={fresh}
          onChange={(event) => setFresh(event.currentTarget.value)}
          error={wasSent && isShort && t("newShort", { count: LEAST_PASSWORD_CHARS })}
        />
        <Told error={change.error} done={change.isSuccess && !wasSent && t("passwordSaved")} />
        <Button type="submit" loading={change.isPending}>
          {t("savePassword")}
        </Button>
      </form>
    </section>
  );
}
