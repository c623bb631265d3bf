import { ActionIcon, Textarea } from "@mantine/core";
import { SendHorizontal } from "lucide-react";
import { type FormEvent, type KeyboardEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import classes from "./Composer.module.css";

const MOST = 8_000; // characters, as many as the engine reads
const TOLD_FROM = 7_500;

/** Where the learner writes. Enter sends, Shift+Enter begins a new line. */
export function Composer({
  name,
  say,
  disabled,
}: {
  name: string;
  say: (text: string) => void;
  disabled: boolean;
}) {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const canSend = !disabled && text.trim() !== "" && text.length <= MOST;
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (!canSend) return;
    say(text);
    setText("");
  };
  const key = (event: KeyboardEvent) => {
    // While an input method composes, Enter takes the word it offers.
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) send(event);
  };
  return (
    <form className={classes.composer} onSubmit={send}>
      <Textarea
        className={classes.text}
        aria-label={t("input.label")}
        placeholder={t("input.placeholder", { name })}
        autosize
        minRows={1}
        maxRows={6}
        size="md"
        variant="unstyled"
        disabled={disabled}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={key}
        error={text.length > TOLD_FROM && t("input.tooLong", { max: MOST })}
      />
      <ActionIcon type="submit" size={46} radius="xl" disabled={!canSend} aria-label={t("input.send")}>
        <SendHorizontal size={20} aria-hidden />
      </ActionIcon>
    </form>
  );
}
