import { Button } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { ImagePlus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { TutorPicture } from "../../parts/TutorPicture";
import type { AvatarPublic } from "../../wire/generated";
import { Bar } from "../parts/Bar";
import { FOLLOWED, Follower } from "../parts/Follower";
import { Head } from "../parts/Head";
import { Loaded } from "../parts/Loaded";
import { Notes } from "../parts/Notes";
import parts from "../parts/Parts.module.css";
import { Removal } from "../parts/Removal";
import { RemoveButton } from "../parts/RemoveButton";
import { Sendings } from "../parts/Sendings";
import { State, type Tone } from "../parts/State";
import { FACES } from "../queries";
import { FaceDialog } from "./FaceDialog";
import classes from "./Faces.module.css";
import { pictured } from "./picture";

export const FACES_PATH = "/api/admin/faces";

const TONES: Record<AvatarPublic["state"], Tone> = {
  waiting: "wait",
  preparing: "wait",
  ready: "good",
  failed: "bad",
};

export function FacesPage() {
  const { t } = useTranslation("admin");
  const [isAdding, setIsAdding] = useState(false);
  return (
    <>
      <Head title={t("faces.title")} hint={t("faces.hint")}>
        <Button leftSection={<ImagePlus size={18} aria-hidden />} onClick={() => setIsAdding(true)}>
          {t("faces.add")}
        </Button>
      </Head>
      <Sendings target={FACES_PATH} />
      <Loaded query={useQuery({ ...FACES, staleTime: 0 })}>{(faces) => <Faces faces={faces} />}</Loaded>
      {isAdding && <FaceDialog target={FACES_PATH} close={() => setIsAdding(false)} />}
    </>
  );
}

const isUnderWay = ({ state }: AvatarPublic) => state === "waiting" || state === "preparing";

function Faces({ faces }: { faces: AvatarPublic[] }) {
  const { t } = useTranslation("admin");
  const queries = useQueryClient();
  const [removing, setRemoving] = useState<string | null>(null);
  const renew = () => queries.invalidateQueries({ queryKey: FACES.queryKey });
  const replace = (told: AvatarPublic) => {
    queries.setQueryData(FACES.queryKey, (all) => all?.map((one) => (one.name === told.name ? told : one)));
    if (!isUnderWay(told)) void renew();
  };
  return (
    <>
      <ul className={classes.faces} aria-label={t("faces.title")}>
        {faces.map((face) => (
          <li key={face.name} className={classes.face}>
            <Face face={face} remove={() => setRemoving(face.name)} />
          </li>
        ))}
      </ul>
      {faces
        .filter(isUnderWay)
        .slice(0, FOLLOWED)
        .map(({ name }) => (
          <Follower<AvatarPublic>
            key={name}
            path={`${FACES_PATH}/${encodeURIComponent(name)}/events`}
            told={replace}
            over={renew}
          />
        ))}
      {removing !== null && (
        <Removal
          words={{
            title: t("faces.removeTitle", { name: removing }),
            hint: t("faces.removeHint"),
            yes: t("faces.remove"),
            notOurs: t("faces.notOurs"),
          }}
          path={`${FACES_PATH}/${encodeURIComponent(removing)}`}
          list={FACES.queryKey}
          close={() => setRemoving(null)}
        />
      )}
    </>
  );
}

function Face({ face, remove }: { face: AvatarPublic; remove: () => void }) {
  const { t } = useTranslation("admin");
  const isDrawn = face.kind === "drawn";
  return (
    <>
      <span className={classes.picture}>
        {face.state === "ready" ? (
          <TutorPicture tutor={pictured(face)} alt={t("faces.picture", { name: face.name })} />
        ) : (
          <span className={classes.none} aria-hidden>
            {[...face.name][0]}
          </span>
        )}
      </span>
      <div className={parts.row}>
        <span>
          <span className={parts.who}>{face.name}</span>
          {face.kind && <span className={parts.facts}>{t(`kind.${face.kind}`)}</span>}
        </span>
        {!isDrawn && <RemoveButton label={t("faces.removeOne", { name: face.name })} remove={remove} />}
      </div>
      {!isDrawn && (
        <div className={classes.how}>
          <State tone={TONES[face.state]}>{t(`face.${face.state}`)}</State>
        </div>
      )}
      {isUnderWay(face) && <Bar part={face.progress} label={t("faces.progress", { name: face.name })} />}
      {face.reason && <div role="alert">{face.reason}</div>}
      <Notes notes={face.notes ?? []} />
    </>
  );
}
