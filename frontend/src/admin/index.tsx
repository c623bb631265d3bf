import {
  Activity,
  AudioLines,
  BookOpen,
  GraduationCap,
  RadioTower,
  SmilePlus,
  UsersRound,
} from "lucide-react";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { Navigate, NavLink, Route, Routes, useLocation } from "react-router";
import { addWords } from "../i18n";
import { adminEn } from "../i18n/admin.en";
import { adminZh } from "../i18n/admin.zh";
import { NothingHere } from "../pages/NothingHere";
import classes from "./Admin.module.css";
import { EnginePage } from "./engine/EnginePage";
import { FacesPage } from "./faces/FacesPage";
import { BasePage } from "./knowledge/BasePage";
import { BasesPage } from "./knowledge/BasesPage";
import { LivePage } from "./lessons/LivePage";
import { StudentsPage } from "./students/StudentsPage";
import { TutorPage } from "./tutors/TutorPage";
import { TutorsPage } from "./tutors/TutorsPage";
import { VoicesPage } from "./voices/VoicesPage";

addWords("admin", adminEn, adminZh);

const PLACES = [
  ["tutors", GraduationCap],
  ["students", UsersRound],
  ["knowledge", BookOpen],
  ["voices", AudioLines],
  ["faces", SmilePlus],
  ["lessons", RadioTower],
  ["engine", Activity],
] as const;

/** Everything below /admin, for those who administer; a file of its own, loaded when it is opened. */
export default function AdminPages() {
  return (
    <div className={classes.page}>
      <Places />
      <div className={classes.content}>
        <Routes>
          <Route index element={<Navigate to="tutors" replace />} />
          <Route path="tutors" element={<TutorsPage />} />
          <Route path="tutors/:tutorId" element={<TutorPage />} />
          <Route path="students" element={<StudentsPage />} />
          <Route path="knowledge" element={<BasesPage />} />
          <Route path="knowledge/:kbId" element={<BasePage />} />
          <Route path="voices" element={<VoicesPage />} />
          <Route path="faces" element={<FacesPage />} />
          <Route path="lessons" element={<LivePage />} />
          <Route path="engine" element={<EnginePage />} />
          <Route path="*" element={<NothingHere />} />
        </Routes>
      </div>
    </div>
  );
}

function Places() {
  const { t } = useTranslation("admin");
  const nav = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  // biome-ignore lint/correctness/useExhaustiveDependencies: on a phone the one that is open may be out of sight
  useEffect(() => {
    const open = nav.current?.querySelector<HTMLElement>("[aria-current]");
    if (open && nav.current) nav.current.scrollLeft = open.offsetLeft - nav.current.clientWidth / 3;
  }, [pathname]);
  return (
    <nav ref={nav} className={classes.nav} aria-label={t("nav.label")}>
      <ul>
        {PLACES.map(([place, Icon]) => (
          <li key={place}>
            <NavLink to={`/admin/${place}`} className={classes.link}>
              <Icon size={19} aria-hidden />
              {t(`nav.${place}`)}
            </NavLink>
          </li>
        ))}
      </ul>
    </nav>
  );
}
