// What the library holds, and indexing with progress.
import { useEffect, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import { api, ApiError } from "../api/client";
import type { Job } from "../api/types";
import { count, span } from "../lib/format";
import { follow } from "../lib/events";
import { complain, library, loadLibrary, say } from "../state/app";
import { IconButton, Notice } from "../ui/parts";

const jobs = signal<Job[]>([]);
const followed = new Set<string>();

function put(job: Job): void {
  const others = jobs.value.filter((j) => j.id !== job.id);
  const old = jobs.value.find((j) => j.id === job.id);
  jobs.value = [{ ...old, ...job }, ...others].sort((a, b) => String(b.id).localeCompare(String(a.id)));
}

export function running(job: Job): boolean {
  return job.state === "queued" || job.state === "running";
}

interface Progress {
  done: number;
  total: number | null;
  failed: { path: string; error: string }[];
}

function number(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function progressOf({ progress, report }: Job): Progress {
  return {
    done: number(progress?.files) ?? 0,
    total: number(progress?.files_total),
    failed: report?.failed ?? [],
  };
}

async function watch(id: string, ended: AbortSignal): Promise<void> {
  if (followed.has(id)) return;
  followed.add(id);
  try {
    await follow(await api.jobEvents(id, ended), ({ event, data }) => {
      const job = JSON.parse(data) as Job;
      put(job);
      if (event !== "done") return;
      if (job.state === "failed") say(`Indexing ${job.root} failed: ${job.error}`, { bad: true });
      else say(`Indexing ${job.root}: ${job.state}`);
      void loadLibrary();
    });
  } catch (error) {
    complain(error);
  } finally {
    followed.delete(id);
  }
}

function JobLine({ job }: { job: Job }) {
  const { done, total, failed } = progressOf(job);
  const added = job.report?.added;
  return (
    <li class="job">
      <div class="job-head">
        <b>{job.root}</b>
        <span class={`badge ${job.state}`}>{job.state}</span>
        {running(job) && (
          <IconButton icon="stop" label={`Stop indexing ${job.root}`} text="Stop" onClick={() => api.stopJob(job.id).catch(complain)} />
        )}
      </div>
      {running(job) && <progress aria-label={`Progress of ${job.root}`} {...(total ? { max: total, value: done } : {})} />}
      <p class="muted" role={running(job) ? "status" : undefined}>
        {total ? `${done} of ${total} files` : done ? count(done, "file") : ""}
        {added !== undefined && `, ${added} added`}
        {job.error}
      </p>
      {failed.length > 0 && (
        <details>
          <summary>{count(failed.length, "file")} failed</summary>
          <ul>
            {failed.slice(0, 100).map((one) => (
              <li key={one.path}>
                {one.path}: {one.error}
              </li>
            ))}
          </ul>
        </details>
      )}
    </li>
  );
}

function Start({ ended }: { ended: () => AbortSignal }) {
  const facts = library.value;
  const roots = facts?.roots ?? [];
  const [root, setRoot] = useState("");
  if (facts?.read_only) return <Notice title="This library is read only" hint="Start the server with writing allowed to index from here." />;
  if (!roots.length)
    return <Notice title="No folder may be indexed from here" hint="Start the server with `earmark serve --root FOLDER`, or use `earmark index FOLDER`." />;
  const start = async (event: Event) => {
    event.preventDefault();
    try {
      const job = await api.startJob(root || roots[0]!);
      put(job);
      void watch(job.id, ended());
    } catch (error) {
      complain(error);
    }
  };
  return (
    <form class="start" onSubmit={(event) => void start(event)}>
      <label>
        Folder
        <select value={root || roots[0]} onChange={(event) => setRoot(event.currentTarget.value)}>
          {roots.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <button type="submit" class="button primary">
        Index it
      </button>
    </form>
  );
}

function Facts() {
  const facts = library.value;
  if (!facts) return null;
  return (
    <>
      <p class="big-facts">
        <b>{count(facts.tracks, "sound")}</b>, {span(facts.seconds)}
      </p>
      <table class="encoders">
        <caption class="hidden">What the library is searched by</caption>
        <thead>
          <tr>
            <th scope="col">Searched by</th>
            <th scope="col">Kind</th>
            <th scope="col">Rows</th>
          </tr>
        </thead>
        <tbody>
          {facts.encoders.map((encoder) => (
            <tr key={encoder.name}>
              <td>{encoder.name}</td>
              <td>{encoder.kind ?? ""}</td>
              <td>{(encoder.segments ?? encoder.rows ?? 0).toLocaleString("en")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

export default function LibraryView() {
  const [ended] = useState(() => new AbortController());
  const [refused, setRefused] = useState<ApiError | null>(null);
  useEffect(() => {
    void loadLibrary();
    api.jobs().then(
      (all) => {
        jobs.value = all;
        for (const job of all.filter(running)) void watch(job.id, ended.signal);
      },
      (error) => (error instanceof ApiError ? setRefused(error) : complain(error)),
    );
    return () => ended.abort();
  }, []);
  return (
    <section class="page" aria-label="Library">
      <h1>{library.value?.name ?? "Library"}</h1>
      <Facts />
      <h2>Index</h2>
      {refused ? <Notice title={refused.message} hint={refused.hint} /> : <Start ended={() => ended.signal} />}
      <ul class="jobs" aria-label="Index jobs">
        {jobs.value.map((job) => (
          <JobLine key={job.id} job={job} />
        ))}
      </ul>
    </section>
  );
}
