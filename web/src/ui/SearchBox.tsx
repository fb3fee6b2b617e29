// One box for words, a file, a recording, or a link to a moment.
import { useEffect, useRef, useState } from "preact/hooks";
import { linked } from "../lib/address";
import { can, recording } from "../state/app";
import { askWith } from "../state/clips";
import { remind } from "../state/recent";
import { ask, go, route } from "../state/route";
import { IconButton } from "./parts";
import { Icon } from "./icons";

/** Ask with these words, beside the example that is already in the question. */
export function askWords(text: string): void {
  const { clip, like, unlike, mode } = route.value;
  const together = mode === "search" && (clip || like.length || unlike.length);
  if (together) go({ view: "search", text });
  else ask({ text });
  remind(text);
}

export function SearchBox() {
  const [text, setText] = useState(route.value.text);
  const file = useRef<HTMLInputElement>(null);
  useEffect(() => setText(route.value.text), [route.value.text]);
  const submit = (event: Event) => {
    event.preventDefault();
    const link = linked(text, location.origin);
    if (link) {
      setText("");
      go(link);
    } else askWords(text.trim());
    // From here on keys mean the answers; on a phone the keyboard makes room for them.
    document.getElementById("main")?.focus({ preventScroll: true });
  };
  return (
    <form class="searchbox" role="search" aria-label="Sounds" onSubmit={submit}>
      <div class="field">
        <Icon name="search" />
        <input
          id="q"
          type="search"
          value={text}
          placeholder={can("text") ? "Describe a sound …" : "Name or drop a sound"}
          aria-label="Search for sounds: words, or a link to a moment"
          aria-keyshortcuts="/"
          autocomplete="off"
          spellcheck={false}
          enterkeyhint="search"
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <IconButton icon="mic" label="Record an example, a clip to identify, or a hum" shortcut="v" onClick={() => (recording.value = "search")} />
        <IconButton icon="file" label="Search with a file" onClick={() => file.current?.click()} />
        <input
          ref={file}
          type="file"
          class="hidden"
          tabIndex={-1}
          accept="audio/*,video/webm,video/mp4"
          aria-label="A file to search with"
          onChange={(event) => {
            askWith(event.currentTarget.files?.[0]);
            event.currentTarget.value = "";
          }}
        />
        <button type="submit" class="button primary">
          Search
        </button>
      </div>
    </form>
  );
}
