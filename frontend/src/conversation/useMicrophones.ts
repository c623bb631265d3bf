import { useEffect, useState } from "react";

/** The microphones that are connected, while `wanted`; without names until one was allowed. */
export function useMicrophones(wanted: boolean): MediaDeviceInfo[] {
  const [found, setFound] = useState<MediaDeviceInfo[]>([]);
  useEffect(() => {
    const devices = navigator.mediaDevices;
    if (!wanted || !devices?.enumerateDevices) return;
    let isOver = false;
    const look = async () => {
      const all = await devices.enumerateDevices();
      const named = all.filter(
        ({ kind, deviceId }) => kind === "audioinput" && deviceId && deviceId !== "default",
      );
      if (!isOver) setFound(named);
    };
    void look();
    devices.addEventListener("devicechange", look);
    return () => {
      isOver = true;
      devices.removeEventListener("devicechange", look);
    };
  }, [wanted]);
  return found;
}
