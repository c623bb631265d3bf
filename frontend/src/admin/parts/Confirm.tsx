import { Button, Modal } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import classes from "./Parts.module.css";
import { Refused } from "./Refused";

interface Question {
  title: string;
  /** What will be gone. */
  hint: string;
  /** What the button says that does it. */
  yes: string;
  act: () => Promise<unknown>;
  close: () => void;
}

/** Asks before something that cannot be taken back, and says so when it was refused. */
export function Confirm({ title, hint, yes, act, close }: Question) {
  const { t } = useTranslation("admin");
  const [error, setError] = useState<unknown>(null);
  const [isActing, setIsActing] = useState(false);
  const confirm = async () => {
    setIsActing(true);
    setError(null);
    try {
      await act();
      close();
    } catch (refusal) {
      setError(refusal);
      setIsActing(false);
    }
  };
  return (
    <Modal opened onClose={close} title={title} centered closeButtonProps={{ "aria-label": t("app.close") }}>
      <div className={classes.form}>
        <div>{hint}</div>
        <Refused error={error} />
      </div>
      <div className={classes.buttons}>
        <Button variant="default" onClick={close} data-autofocus>
          {t("app.cancel")}
        </Button>
        <Button color="clay" loading={isActing} onClick={confirm}>
          {yes}
        </Button>
      </div>
    </Modal>
  );
}
