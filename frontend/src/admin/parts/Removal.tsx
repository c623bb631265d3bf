import { call, Refusal } from "../../api/http";
import { useChange } from "../queries";
import { Confirm } from "./Confirm";

interface Words {
  title: string;
  hint: string;
  yes: string;
  /** What is on the list and is nobody's: the engine has it from elsewhere. */
  notOurs: string;
}

/** Asks before what is at this address is deleted. */
export function Removal({
  words: { notOurs, ...words },
  path,
  list,
  close,
}: {
  words: Words;
  path: string;
  /** Under which the list stands that it is on. */
  list: readonly string[];
  close: () => void;
}) {
  const remove = useChange(() => call("DELETE", path), [list]);
  const act = async () => {
    try {
      await remove.mutateAsync(undefined);
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) throw new Refusal(404, notOurs);
      throw error;
    }
  };
  return <Confirm {...words} act={act} close={close} />;
}
