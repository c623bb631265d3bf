import { Button, Modal, PasswordInput, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { call } from "../../api/http";
import type { Student } from "../models";
import parts from "../parts/Parts.module.css";
import { Refused } from "../parts/Refused";
import { STUDENTS, useChange } from "../queries";

const LEAST_PASSWORD_CHARS = 8; // as the web server demands

interface Draft {
  name: string;
  email: string;
  password: string;
}

/** A new account, or another name or password for one that there is. */
export function StudentDialog({ student, close }: { student: Student | null; close: () => void }) {
  const { t } = useTranslation("admin");
  const [draft, setDraft] = useState<Draft>({
    name: student?.name ?? "",
    email: student?.email ?? "",
    password: "",
  });
  const [wasSent, setWasSent] = useState(false);
  const save = useChange((given: Draft) => saved(student, given), [STUDENTS.queryKey], close);
  const wrong = {
    name: !draft.name.trim() && t("students.nameMissing"),
    email: !/^[^\s@]+@[^\s@]+$/.test(draft.email.trim()) && t("students.emailWrong"),
    password:
      (student === null || draft.password !== "") &&
      draft.password.length < LEAST_PASSWORD_CHARS &&
      t("students.passwordShort", { count: LEAST_PASSWORD_CHARS }),
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setWasSent(true);
    if (!wrong.name && !wrong.email && !wrong.password) save.mutate(draft);
  };
  const field = (key: keyof Draft) => ({
    value: draft[key],
    error: wasSent && wrong[key],
    onChange: ({ currentTarget: { value } }: { currentTarget: { value: string } }) =>
      setDraft((before) => ({ ...before, [key]: value })),
  });
  const title = student ? t("students.editTitle", { name: student.name }) : t("students.add");
  return (
    <Modal opened onClose={close} title={title} centered closeButtonProps={{ "aria-label": t("app.close") }}>
      <form onSubmit={submit} noValidate className={parts.form}>
        <Refused error={save.error} />
        <TextInput
          label={t("students.name")}
          name="name"
          autoComplete="off"
          data-autofocus
          {...field("name")}
        />
        <TextInput
          label={t("students.email")}
          description={t("students.emailHint")}
          name="email"
          type="email"
          autoComplete="off"
          disabled={student !== null}
          {...field("email")}
        />
        <PasswordInput
          label={t(student ? "students.newPassword" : "students.password")}
          description={t(student ? "students.newPasswordHint" : "students.passwordHint")}
          name="password"
          autoComplete="new-password"
          visibilityToggleButtonProps={{ "aria-label": t("students.showPassword") }}
          {...field("password")}
        />
        <div className={parts.buttons}>
          <Button variant="default" onClick={close}>
            {t("app.cancel")}
          </Button>
          <Button type="submit" loading={save.isPending}>
            {t(student ? "app.save" : "students.add")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

function saved(student: Student | null, { name, email, password }: Draft): Promise<Student> {
  if (!student) return call("POST", "/api/admin/students", { name, email: email.trim(), password });
  const change = password ? { name, password } : { name };
  return call("PATCH", `/api/admin/students/${student.id}`, change);
}
