import { ActionIcon, Button, Menu, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import {
  DoorClosed,
  DoorOpen,
  EllipsisVertical,
  Pencil,
  Search,
  Trash2,
  UserPlus,
  UsersRound,
} from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { call } from "../../api/http";
import { Empty } from "../../parts/Empty";
import { useMoment } from "../../parts/useMoment";
import type { Student } from "../models";
import { Confirm } from "../parts/Confirm";
import { Head } from "../parts/Head";
import { Loaded } from "../parts/Loaded";
import parts from "../parts/Parts.module.css";
import { State } from "../parts/State";
import { STUDENTS, useChange } from "../queries";
import { StudentDialog } from "./StudentDialog";

const MANY = 8; // from so many on there is a field to look for one

/** What is asked about whom; a new one is nobody yet. */
type Asking = { about: "edit"; student: Student | null } | { about: "close" | "delete"; student: Student };

export function StudentsPage() {
  const { t } = useTranslation("admin");
  const [asking, setAsking] = useState<Asking | null>(null);
  const add = () => setAsking({ about: "edit", student: null });
  const close = () => setAsking(null);
  return (
    <>
      <Head title={t("students.title")} hint={t("students.hint")}>
        <Button leftSection={<UserPlus size={18} aria-hidden />} onClick={add}>
          {t("students.add")}
        </Button>
      </Head>
      <Loaded query={useQuery(STUDENTS)}>
        {(students) => <Students students={students} ask={setAsking} />}
      </Loaded>
      {asking?.about === "edit" && <StudentDialog student={asking.student} close={close} />}
      {asking?.about === "close" && <Closing student={asking.student} close={close} />}
      {asking?.about === "delete" && <Deleting student={asking.student} close={close} />}
    </>
  );
}

function Students({ students, ask }: { students: Student[]; ask: (asking: Asking) => void }) {
  const { t } = useTranslation("admin");
  const [wanted, setWanted] = useState("");
  if (!students.length) {
    const icon = <UsersRound size={36} aria-hidden />;
    return <Empty icon={icon} title={t("students.empty")} hint={t("students.emptyHint")} />;
  }
  const sought = wanted.trim().toLowerCase();
  const shown = students.filter(({ name, email }) => `${name} ${email}`.toLowerCase().includes(sought));
  return (
    <>
      {students.length >= MANY && (
        <TextInput
          type="search"
          aria-label={t("students.search")}
          placeholder={t("students.search")}
          leftSection={<Search size={16} aria-hidden />}
          value={wanted}
          onChange={(event) => setWanted(event.currentTarget.value)}
        />
      )}
      {shown.length === 0 && <p role="status">{t("students.noneFound")}</p>}
      {shown.length > 0 && (
        <ul className={parts.rows}>
          {shown.map((student) => (
            <li key={student.id} className={parts.row}>
              <Person student={student} />
              <State tone={student.active ? "good" : "quiet"}>
                {t(student.active ? "students.open" : "students.closed")}
              </State>
              <Actions student={student} ask={ask} />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function Person({ student }: { student: Student }) {
  const { t } = useTranslation("admin");
  const moment = useMoment();
  const seen = student.last_seen_at;
  return (
    <span>
      <span className={parts.who}>{student.name}</span>
      <span className={parts.facts}>
        <span>{student.email}</span>
        <span>{seen ? t("students.seen", { moment: moment(seen) }) : t("students.neverSeen")}</span>
      </span>
    </span>
  );
}

function Actions({ student, ask }: { student: Student; ask: (asking: Asking) => void }) {
  const { t } = useTranslation("admin");
  const open = useChange(
    () => call("PATCH", `/api/admin/students/${student.id}`, { active: true }),
    [STUDENTS.queryKey],
  );
  const icon = { size: 16, "aria-hidden": true } as const;
  return (
    <Menu
      position="bottom-end"
      shadow="md"
      radius="lg"
      keepMounted={false}
      withInitialFocusPlaceholder={false} // a menu may hold nothing but its entries
    >
      <Menu.Target>
        <ActionIcon
          variant="subtle"
          color="gray"
          size={44}
          loading={open.isPending}
          aria-label={t("students.actions", { name: student.name })}
        >
          <EllipsisVertical size={20} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item leftSection={<Pencil {...icon} />} onClick={() => ask({ about: "edit", student })}>
          {t("students.edit")}
        </Menu.Item>
        {student.active ? (
          <Menu.Item leftSection={<DoorClosed {...icon} />} onClick={() => ask({ about: "close", student })}>
            {t("students.close")}
          </Menu.Item>
        ) : (
          <Menu.Item leftSection={<DoorOpen {...icon} />} onClick={() => open.mutate(undefined)}>
            {t("students.reopen")}
          </Menu.Item>
        )}
        <Menu.Item
          c="var(--clay)"
          leftSection={<Trash2 {...icon} />}
          onClick={() => ask({ about: "delete", student })}
        >
          {t("students.delete")}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function Closing({ student, close }: { student: Student; close: () => void }) {
  const { t } = useTranslation("admin");
  const shut = useChange(
    () => call("PATCH", `/api/admin/students/${student.id}`, { active: false }),
    [STUDENTS.queryKey],
  );
  return (
    <Confirm
      title={t("students.closeTitle", { name: student.name })}
      hint={t("students.closeHint")}
      yes={t("students.close")}
      act={() => shut.mutateAsync(undefined)}
      close={close}
    />
  );
}

function Deleting({ student, close }: { student: Student; close: () => void }) {
  const { t } = useTranslation("admin");
  const drop = useChange(() => call("DELETE", `/api/admin/students/${student.id}`), [STUDENTS.queryKey]);
  return (
    <Confirm
      title={t("students.deleteTitle", { name: student.name })}
      hint={t("students.deleteHint")}
      yes={t("students.delete")}
      act={() => drop.mutateAsync(undefined)}
      close={close}
    />
  );
}
