// Keys and screens of the system (headphones, lock screen, keyboard) know what plays.
import { effect } from "@preact/signals";
import { titleOf, whence } from "../lib/format";
import { audio, current, playing, playNext, seek, toggle } from "./player";

export function shareWithSystem(): void {
  const session = navigator.mediaSession as MediaSession | undefined;
  if (!session) return;
  effect(() => {
    const hit = current.value?.hit;
    session.metadata = hit ? new MediaMetadata({ title: titleOf(hit), artist: whence(hit) }) : null;
    session.playbackState = playing.value ? "playing" : hit ? "paused" : "none";
  });
  session.setActionHandler("play", toggle);
  session.setActionHandler("pause", () => audio.pause());
  session.setActionHandler("nexttrack", () => void playNext());
  session.setActionHandler("previoustrack", () => void playNext(-1));
  session.setActionHandler("seekto", ({ seekTime }) => seek(seekTime ?? 0));
}
