// The page starts here.
import { render } from "preact";
import "./styles.css";
import { effect } from "@preact/signals";
import { complain, loadLibrary } from "./state/app";
import { watchKeys } from "./state/keys";
import { shareWithSystem } from "./state/media";
import { show } from "./state/player";
import { route } from "./state/route";
import { asHit, watchSearch } from "./state/search";
import { api } from "./api/client";
import { parseMoment } from "./lib/address";
import { App } from "./ui/App";

render(<App />, document.getElementById("app")!);
void loadLibrary();
watchSearch();
watchKeys();
shareWithSystem();

// A link to a moment also puts it into the player, ready to be played.
let shown = "";
effect(() => {
  const linked = route.value.moment;
  if (!linked || linked === shown) return;
  shown = linked;
  const { track, start, end } = parseMoment(linked);
  api.track(track).then((sound) => show({ ...asHit(sound), start, end }), complain);
});
