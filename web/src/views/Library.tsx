// What the library holds, and indexing with progress.
import { useEffect, useState } from "preact/hooks";
import { api, ApiError } from "../api/client";
import type { EncoderFacts, Job } from "../api/types";
import { count, span } from "../lib/format";
import { complain, library, loadLibrary } from "../state/app";
import { jobs, nameOf, progressOf, running, watch, watchAll } from "../state/jobs";
import { IconButton, Notice } from "../ui/parts";

function JobLine({ job }: { job: Job }) {
  const { done, total, failed } = progressOf(job);
  const added = job.report?.added;
  const name = nameOf(job);
  return (
    <li class="job">
      <div class="job-head">
        <b>{name}</b>
        <span class={`badge ${job.state}`}>{job.state}</span>
        {running(job) && (
          <IconButton icon="stop" label={`Stop: ${name}`} text="Stop" onClick={() => api.stopJob(job.id).catch(complain)} />
        )}
      </div>
      {running(job) && <progress aria-label={`Progress of ${name}`} {...(total ? { max: total, value: done } : {})} />}
      <p class="muted" role={running(job) ? "status" : undefined}>
        {total ? `${done} of ${total} files` : done ? count(done, "file") : running(job) && job.kind !== "map" ? "Looking for files …" : ""}
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

function Start() {
  const facts = library.value;
  const roots = facts?.roots ?? [];
  const [root, setRoot] = useState("");
  if (facts?.read_only) return <Notice title="This library is read only" hint="Start the server with writing allowed to index from here." />;
  if (!roots.length)
    return <Notice title="No folder may be indexed from here" hint="Start the server with `earmark serve --root FOLDER`, or use `earmark index FOLDER`." />;
  const start = async (event: Event) => {
    event.preventDefault();
    try {
      void watch(await api.startJob(root || roots[0]!));
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

/** What each kind of encoder answers, in the words of the page. */
const ANSWERS: Record<string, string> = {
  similar: "What is alike, by what it is",
  timbre: "What is alike, by how it sounds",
  identify: "Which recording is it, and where; duplicates",
  hum: "Which tune is it",
  text: "Words for sounds",
  tag: "What is in it",
};

function size(bytes: number | undefined): string {
  if (!bytes) return "";
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

function Encoders({ encoders }: { encoders: EncoderFacts[] }) {
  return (
    <div class="scrolled" tabIndex={0} role="region" aria-label="What the library is searched by">
      <table class="encoders">
        <thead>
          <tr>
            <th scope="col">Searched by</th>
            <th scope="col">Answers</th>
            <th scope="col" class="number">Sounds</th>
            <th scope="col" class="number roomy">Rows</th>
            <th scope="col" class="number roomy">Size</th>
          </tr>
        </thead>
        <tbody>
          {encoders.map(({ name, kind, tracks, rows, bytes }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{ANSWERS[kind ?? ""] ?? kind}</td>
              <td class="number">{tracks?.toLocaleString("en")}</td>
              <td class="number roomy">{rows?.toLocaleString("en")}</td>
              <td class="number roomy">{size(bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Facts() {
  const facts = library.value;
  if (!facts) return null;
  return (
    <>
      <p class="big-facts">
        <b>{count(facts.tracks, "sound")}</b>, {span(facts.seconds)}
        {facts.failures ? `, ${count(facts.failures, "file")} could not be read` : ""}
      </p>
      {facts.encoders.length > 0 && <Encoders encoders={facts.encoders} />}
      {(facts.advice?.length ?? 0) > 0 && (
        <details class="advice">
          <summary>What would make it answer more ({facts.advice!.length})</summary>
          <ul>
            {facts.advice!.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

export default function LibraryView() {
  const [refused, setRefused] = useState<ApiError | null>(null);
  useEffect(() => {
    void loadLibrary();
    watchAll().catch((error) => (error instanceof ApiError ? setRefused(error) : complain(error)));
  }, []);
  return (
    <section class="page" aria-label="Library">
      <h1>{library.value?.name ?? "Library"}</h1>
      <Facts />
      <h2>Index</h2>
      {refused ? <Notice title={refused.message} hint={refused.hint} /> : <Start />}
      <ul class="jobs" aria-label="Index jobs">
        {jobs.value.map((job) => (
          <JobLine key={job.id} job={job} />
        ))}
      </ul>
    </section>
  );
}
