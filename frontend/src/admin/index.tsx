import { useTranslation } from "react-i18next";

/** Everything below /admin, for those who administer; a file of its own, loaded when it is opened. */
export default function AdminPages() {
  const { t } = useTranslation();
  return <h1>{t("menu.admin")}</h1>;
}
