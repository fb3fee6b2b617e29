// Small parts used everywhere.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { message, undoLast } from "../state/app";
import { Icon, type IconName } from "./icons";

interface ButtonProps {
  icon: IconName;
  label: string;
  onClick?: (event: MouseEvent) => void;
  pressed?: boolean | undefined;
  shortcut?: string;
  text?: string;
  kind?: string;
  disabled?: boolean;
}

/** A button with an icon; without `text` its label is for readers and the tooltip. */
export function IconButton({ icon, label, onClick, pressed, shortcut, text, kind = "", disabled }: ButtonProps) {
  return (
    <button
      type="button"
      class={`button ${text ? "" : "bare"} ${kind}`}
      aria-label={text ? undefined : label}
      aria-pressed={pressed}
      aria-keyshortcuts={shortcut}
      title={shortcut ? `${label} (${shortcut})` : label}
      onClick={onClick}
      disabled={disabled}
    >
      <Icon name={icon} />
      {text && <span>{text}</span>}
    </button>
  );
}

interface DialogProps {
  title: string;
  open: boolean;
  onClose: () => void;
  children: ComponentChildren;
  kind?: string;
}

/** A modal dialog of the platform: focus is kept inside, Escape closes. */
export function Dialog({ title, open, onClose, children, kind = "" }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current;
    if (open && !dialog?.open) dialog?.showModal();
    if (!open && dialog?.open) dialog.close();
  }, [open]);
  return (
    <dialog
      ref={ref}
      class={`dialog ${kind}`}
      aria-label={title}
      onClose={onClose}
      onClick={(event) => event.target === ref.current && onClose()}
    >
      {open && (
        <div class="dialog-body">
          <header>
            <h2>{title}</h2>
            <IconButton icon="close" label="Close" onClick={onClose} />
          </header>
          {children}
        </div>
      )}
    </dialog>
  );
}

/** The shape of answers that are on their way. */
export function Waiting({ rows }: { rows: number }) {
  return (
    <div class="waiting" aria-hidden="true">
      {Array.from({ length: rows }, (_, i) => (
        <div key={i}>
          <span />
          <span />
          <span />
        </div>
      ))}
    </div>
  );
}

/** A sentence where content would be, with what to do about it. */
export function Notice({
  title,
  hint,
  children,
  bad = false,
}: {
  title: string;
  hint?: string | undefined;
  children?: ComponentChildren;
  bad?: boolean;
}) {
  return (
    <div class={`notice ${bad ? "bad" : ""}`} role={bad ? "alert" : undefined}>
      <p class="notice-title">{title}</p>
      {hint && <p>{hint}</p>}
      {children && <div class="notice-actions">{children}</div>}
    </div>
  );
}

/** What just happened: shown for a while, read aloud once. */
export function Messages() {
  const now = message.value;
  return (
    <div class="messages">
      <div role="status" aria-live="polite">
        {now && !now.bad && (
          <div class="toast">
            {now.text}
            {now.undo && (
              <button type="button" class="button undo" aria-keyshortcuts="z" title="Undo (z)" onClick={undoLast}>
                Undo
              </button>
            )}
          </div>
        )}
      </div>
      <div role="alert">
        {now?.bad && (
          <div class="toast bad">
            <span>
              {now.text}
              {now.hint && <small>{now.hint}</small>}
            </span>
            <IconButton icon="close" label="Dismiss" onClick={() => (message.value = null)} />
          </div>
        )}
      </div>
    </div>
  );
}

/** A share between 0 and 1 as a bar; its number stands beside it in text. */
export function Bar({ share }: { share: number }) {
  return (
    <span class="bar" aria-hidden="true">
      <span style={{ width: `${Math.max(0, Math.min(1, share)) * 100}%` }} />
    </span>
  );
}
