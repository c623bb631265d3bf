import { ActionIcon } from "@mantine/core";
import { Trash2 } from "lucide-react";

/** At the end of what it removes. */
export function RemoveButton({ label, remove }: { label: string; remove: () => void }) {
  return (
    <ActionIcon variant="subtle" color="gray" size={44} onClick={remove} aria-label={label}>
      <Trash2 size={18} aria-hidden />
    </ActionIcon>
  );
}
