import { lazy, type ReactNode, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { Navigate, Route, Routes, useLocation } from "react-router";
import { useFreshLogin, useIsLoggedIn, useUser } from "./auth/useLogin";
import { useOwnLanguage } from "./i18n/useOwnLanguage";
import { LoginPage } from "./pages/LoginPage";
import { NothingHere } from "./pages/NothingHere";
import { TutorsPage } from "./pages/TutorsPage";
import { Broken } from "./parts/Broken";
import { Frame } from "./parts/Frame";
import { Loading } from "./parts/Loading";
import { Trouble } from "./parts/Trouble";

const LessonPage = lazy(() => import("./pages/LessonPage"));
const HistoryPage = lazy(() => import("./pages/HistoryPage"));
const PastLessonPage = lazy(() => import("./pages/PastLessonPage"));
const AccountPage = lazy(() => import("./account"));
const AdminPages = lazy(() => import("./admin"));

export function App() {
  const { t } = useTranslation();
  useFreshLogin();
  useOwnLanguage();
  return (
    <Broken>
      <a className="skip" href="#content">
        {t("app.skip")}
      </a>
      <Suspense fallback={<Loading />}>
        <Routes>
          <Route path="/login" element={<LoginPage />} />
          <Route element={<Frame />}>
            <Route
              index
              element={
                <Inside>
                  <TutorsPage />
                </Inside>
              }
            />
            <Route
              path="lesson/:tutorId"
              element={
                <Inside>
                  <LessonPage />
                </Inside>
              }
            />
            <Route
              path="history"
              element={
                <Inside>
                  <HistoryPage />
                </Inside>
              }
            />
            <Route
              path="history/:conversationId"
              element={
                <Inside>
                  <PastLessonPage />
                </Inside>
              }
            />
            <Route
              path="account"
              element={
                <Inside>
                  <AccountPage />
                </Inside>
              }
            />
            <Route
              path="admin/*"
              element={
                <Inside admin>
                  <AdminPages />
                </Inside>
              }
            />
            <Route path="*" element={<NothingHere />} />
          </Route>
        </Routes>
      </Suspense>
    </Broken>
  );
}

/** Only for those who are logged in, and with `admin` only for those who administer. */
function Inside({ admin = false, children }: { admin?: boolean; children: ReactNode }) {
  const isLoggedIn = useIsLoggedIn();
  const { pathname } = useLocation();
  const user = useUser();
  if (!isLoggedIn) return <Navigate to="/login" replace state={{ from: pathname }} />;
  if (user.isPending) return <Loading />;
  if (user.isError) return <Trouble error={user.error} retry={user.refetch} />;
  return admin && user.data.role !== "admin" ? <NothingHere /> : children;
}
