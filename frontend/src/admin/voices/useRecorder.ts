import { useEffect, useRef, useState } from "react";
import { Microphone, type MicrophoneTrouble, NoMicrophone } from "../../conversation/microphone";
import { MOST_S } from "./recording";

const TICK_MS = 100;
const SPARE_S = 0.5; // what a browser may add at the ends of a file
const KINDS = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];

export type Recorded = "idle" | "asking" | "recording";

interface Run {
  context: AudioContext;
  microphone: Microphone;
  recorder: MediaRecorder | null;
}

/** The microphone, until it is stopped or as long as a recording may be; `done` is given the sound. */
export function useRecorder(done: (sound: Blob) => void) {
  const [state, setState] = useState<Recorded>("idle");
  const [seconds, setSeconds] = useState(0);
  const [trouble, setTrouble] = useState<MicrophoneTrouble | null>(null);
  const run = useRef<Run | null>(null);

  const end = () => {
    const ended = run.current;
    run.current = null;
    ended?.microphone.letGo();
    void ended?.context.close();
    setState("idle");
  };
  const stop = () => {
    if (run.current?.recorder?.state === "recording") run.current.recorder.stop();
  };
  const start = async () => {
    setTrouble(null);
    setSeconds(0);
    setState("asking");
    const context = new AudioContext();
    const microphone = new Microphone(context, { sound: () => undefined, ended: stop });
    const own: Run = { context, microphone, recorder: null };
    run.current = own;
    try {
      await microphone.open();
      if (run.current !== own) return microphone.letGo(); // whoever asked has left meanwhile
      own.recorder = begun(microphone, (sound) => {
        if (run.current !== own) return;
        end();
        done(sound);
      });
      setState("recording");
    } catch (error) {
      if (run.current !== own) return;
      end();
      setTrouble(error instanceof NoMicrophone ? error.code : "microphone_missing");
    }
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when the page is left
  useEffect(() => end, []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the clock of one recording
  useEffect(() => {
    if (state !== "recording") return;
    const beganMs = performance.now();
    const clock = setInterval(() => {
      const elapsed = (performance.now() - beganMs) / 1000;
      setSeconds(elapsed);
      if (elapsed >= MOST_S - SPARE_S) stop();
    }, TICK_MS);
    return () => clearInterval(clock);
  }, [state]);

  return { state, seconds, trouble, start, stop, level: () => run.current?.microphone.level ?? 0 };
}

function begun(microphone: Microphone, done: (sound: Blob) => void): MediaRecorder {
  if (!microphone.track) throw new NoMicrophone("microphone_missing");
  const kind = KINDS.find((one) => MediaRecorder.isTypeSupported(one));
  const recorder = new MediaRecorder(
    new MediaStream([microphone.track]),
    kind ? { mimeType: kind, audioBitsPerSecond: 128_000 } : {},
  );
  const pieces: Blob[] = [];
  recorder.ondataavailable = ({ data }) => pieces.push(data);
  recorder.onstop = () => done(new Blob(pieces, { type: recorder.mimeType }));
  recorder.start();
  return recorder;
}
