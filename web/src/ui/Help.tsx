// What the keys do; single keys can be switched off (they disturb speech input).
import { token, tokenWanted } from "../api/client";
import { help, loadLibrary, shortcuts } from "../state/app";
import { useState } from "preact/hooks";
import { KEYS } from "../state/keys";
import { Dialog } from "./parts";

export function Help() {
  return (
    <Dialog title="Keys" open={help.value} onClose={() => (help.value = false)} kind="wide">
      <dl class="keys">
        {KEYS.map(({ keys, what }) => (
          <div key={what}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <label class="switch">
        <input type="checkbox" role="switch" checked={shortcuts.value} onChange={(event) => (shortcuts.value = event.currentTarget.checked)} />
        Single keys are shortcuts
      </label>
    </Dialog>
  );
}

export function TokenDialog() {
  const [text, setText] = useState("");
  const use = (event: Event) => {
    event.preventDefault();
    token.value = text.trim();
    tokenWanted.value = false;
    setText("");
    void loadLibrary();
  };
  return (
    <Dialog title="A token, please" open={tokenWanted.value} onClose={() => (tokenWanted.value = false)}>
      <form class="token" onSubmit={use}>
        <p>This server asks who is there. The token is kept until this tab is closed, and sent to this server only.</p>
        <label>
          Token
          <input type="password" autocomplete="off" value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <button type="submit" class="button primary">
          Continue
        </button>
      </form>
    </Dialog>
  );
}
