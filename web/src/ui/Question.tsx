// What is asked beside words: an example, moments that it should be like or unlike.
import { useEffect, useState } from "preact/hooks";
import { api } from "../api/client";
import { parseMoment, type Mode } from "../lib/address";
import { clock, titleOf } from "../lib/format";
import { can } from "../state/app";
import { clipOf } from "../state/clips";
import { go, route } from "../state/route";
import { ClipPlayer } from "./ClipPlayer";
import { IconButton } from "./parts";

const names = new Map<string, string>();

/** What to call a moment in a chip: its track's title, once known. */
function useName(moment: string): string {
  const { track, start, end } = parseMoment(moment);
  const [name, setName] = useState(names.get(track) ?? `#${track}`);
  useEffect(() => {
    if (names.has(track)) return setName(names.get(track)!);
    api.track(track).then(
      (sound) => {
        names.set(track, titleOf(sound));
        setName(titleOf(sound));
      },
      () => undefined,
    );
  }, [track]);
  return start === null ? name : `${name} ${clock(start, true)}–${clock(end, true)}`;
}

function MomentChip({ moment, what, onDrop }: { moment: string; what: string; onDrop: () => void }) {
  const name = useName(moment);
  return <Chip what={what} name={name} onDrop={onDrop} />;
}

function Chip({ what, name, onDrop }: { what: string; name: string; onDrop: () => void }) {
  return (
    <li class="asked">
      <span class="asked-name" title={name}>
        <b>{what}</b> {name}
      </span>
      <IconButton icon="close" label={`Without: ${what} ${name}`} onClick={onDrop} />
    </li>
  );
}

const MODES: { mode: Mode; name: string; needs: "audio" | "identify" | "hum" | "tag" }[] = [
  { mode: "search", name: "Sounds like it", needs: "audio" },
  { mode: "identify", name: "Which recording?", needs: "identify" },
  { mode: "hum", name: "Which tune?", needs: "hum" },
  { mode: "tag", name: "What is it?", needs: "tag" },
];

function ClipPart({ id }: { id: string }) {
  const clip = clipOf(id);
  return (
    <>
      <ul class="asked-list" aria-label="The example">
        <Chip what="Example" name={clip?.name ?? "no longer here"} onDrop={() => go({ clip: "", mode: "search" })} />
      </ul>
      {clip && <ClipPlayer key={clip.id} clip={clip} />}
      <fieldset class="segments">
        <legend class="hidden">What to ask about the example</legend>
        {MODES.filter(({ needs }) => can(needs)).map(({ mode, name }) => (
          <label key={mode}>
            <input type="radio" name="mode" checked={route.value.mode === mode} onChange={() => go({ mode })} />
            <span>{name}</span>
          </label>
        ))}
      </fieldset>
    </>
  );
}

export function Question() {
  const { like, unlike, moment, clip } = route.value;
  if (!clip && !moment && !like.length && !unlike.length) return null;
  const without = (all: string[], one: string) => all.filter((other) => other !== one);
  return (
    <div class="question">
      {clip && <ClipPart id={clip} />}
      {(moment || like.length + unlike.length > 0) && (
        <ul class="asked-list" aria-label="The question">
          {moment && <MomentChip moment={moment} what="Moment" onDrop={() => go({ moment: "" })} />}
          {like.map((one) => (
            <MomentChip key={one} moment={one} what="Like" onDrop={() => go({ like: without(like, one) })} />
          ))}
          {unlike.map((one) => (
            <MomentChip key={one} moment={one} what="Unlike" onDrop={() => go({ unlike: without(unlike, one) })} />
          ))}
        </ul>
      )}
    </div>
  );
}
