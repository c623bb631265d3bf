// A file on its way to the web server. `fetch` does not tell how far it is; XMLHttpRequest does.

import { Refusal, refusal } from "../api/http";
import { tokens } from "../auth/tokens";
import { spoken } from "../i18n";

/** Tells with a number from 0 to 1 how much has been sent. */
export type Progress = (part: number) => void;

/** The JSON that answers it. Raises `Refusal`. */
export function sendFile(
  path: string,
  file: Blob,
  progress: Progress,
  signal: AbortSignal,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const token = tokens.current();
    const abort = () => request.abort();
    request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 0);
    request.onabort = request.onerror = () => reject(new Refusal(0, ""));
    request.onload = () => {
      const { status, responseText } = request;
      if (status === 401 && token) tokens.refused(token);
      if (status < 300) resolve(JSON.parse(responseText));
      else reject(refusal(status, request.getResponseHeader("Retry-After"), responseText));
    };
    request.onloadend = () => signal.removeEventListener("abort", abort);
    request.open("POST", path);
    if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.setRequestHeader("Accept-Language", spoken());
    request.setRequestHeader("Content-Type", "application/octet-stream");
    signal.addEventListener("abort", abort);
    request.send(file);
  });
}
