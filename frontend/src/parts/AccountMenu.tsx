import {
  type MantineColorScheme,
  Menu,
  SegmentedControl,
  UnstyledButton,
  useMantineColorScheme,
  VisuallyHidden,
} from "@mantine/core";
import { GraduationCap, History, LogOut, Settings2, UserRound } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import { useKeepLanguage, useLogout, useUser } from "../auth/useLogin";
import { type Language, speak } from "../i18n";
import classes from "./AccountMenu.module.css";

const ICON = { size: 18, "aria-hidden": true } as const;

/** Who is here, where they can go, and how the page looks and speaks. */
export function AccountMenu() {
  const { t } = useTranslation();
  const { data: user } = useUser();
  const logout = useLogout();
  const navigate = useNavigate();
  if (!user) return null;
  const leave = () => {
    logout();
    navigate("/login");
  };
  return (
    <Menu position="bottom-end" width={270} shadow="md" radius="lg" keepMounted={false}>
      <Menu.Target>
        <UnstyledButton className={classes.target}>
          <span className={classes.name}>{user.name}</span>
          <VisuallyHidden>{t("menu.label")}</VisuallyHidden>
          <span className={classes.badge} aria-hidden>
            {[...user.name][0] ?? <UserRound size={18} />}
          </span>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item component={Link} to="/" leftSection={<GraduationCap {...ICON} />}>
          {t("menu.tutors")}
        </Menu.Item>
        <Menu.Item component={Link} to="/history" leftSection={<History {...ICON} />}>
          {t("menu.history")}
        </Menu.Item>
        <Menu.Item component={Link} to="/account" leftSection={<UserRound {...ICON} />}>
          {t("menu.account")}
        </Menu.Item>
        {user.role === "admin" && (
          <Menu.Item component={Link} to="/admin" leftSection={<Settings2 {...ICON} />}>
            {t("menu.admin")}
          </Menu.Item>
        )}
        <Menu.Divider />
        <Choices />
        <Menu.Divider />
        <Menu.Item onClick={leave} leftSection={<LogOut {...ICON} />}>
          {t("menu.logout")}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function Choices() {
  const { t, i18n } = useTranslation();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const keep = useKeepLanguage();
  const choose = (language: string) => {
    speak(language as Language);
    keep.mutate(language as Language);
  };
  const schemes = (["auto", "light", "dark"] as const).map((value) => ({ value, label: t(`menu.${value}`) }));
  return (
    <>
      <Menu.Label>{t("menu.language")}</Menu.Label>
      <SegmentedControl
        className={classes.choice}
        aria-label={t("menu.language")}
        value={i18n.language}
        onChange={choose}
        data={[
          { value: "zh", label: "中文" },
          { value: "en", label: "English" },
        ]}
      />
      <Menu.Label>{t("menu.scheme")}</Menu.Label>
      <SegmentedControl
        className={classes.choice}
        aria-label={t("menu.scheme")}
        value={colorScheme}
        onChange={(value) => setColorScheme(value as MantineColorScheme)}
        data={schemes}
      />
    </>
  );
}
