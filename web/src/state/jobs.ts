// What the server does in the background, as it tells it: indexing folders, making the map.
import { signal } from "@preact/signals";
import { api } from "../api/client";
import type { Job } from "../api/types";
import { follow } from "../lib/events";
import { complain, edition, loadLibrary, say } from "./app";

export const jobs = signal<Job[]>([]);
const followed = new Set<string>();

function put(job: Job): void {
  const others = jobs.value.filter((j) => j.id !== job.id);
  const old = jobs.value.find((j) => j.id === job.id);
  jobs.value = [{ ...old, ...job }, ...others].sort((a, b) => String(b.id).localeCompare(String(a.id)));
}

export function running(job: Job): boolean {
  return job.state === "queued" || job.state === "running";
}

/** What a job is about: a folder, or the map. */
export function nameOf(job: Job): string {
  return job.kind === "map" ? "The map" : job.root;
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

/** Follow a job to its end, which is said; the answer is how it ended. */
export async function watch(job: Job): Promise<string> {
  put(job);
  if (followed.has(job.id)) return job.state;
  followed.add(job.id);
  let state = job.state;
  try {
    await follow(await api.jobEvents(job.id), ({ event, data }) => {
      const now = JSON.parse(data) as Job;
      put(now);
      state = now.state;
      if (event === "done") told(now);
    });
  } catch (error) {
    complain(error);
  } finally {
    followed.delete(job.id);
  }
  return state;
}

function told(job: Job): void {
  if (job.state === "failed") say(`${nameOf(job)}: ${job.error ?? "failed"}`, { bad: true });
  else say(`${nameOf(job)}: ${job.state}`);
  edition.value += 1;
  void loadLibrary();
}

/** All jobs that the server remembers; those that run are followed. */
export async function watchAll(): Promise<void> {
  jobs.value = await api.jobs();
  for (const job of jobs.value.filter(running)) void watch(job);
}
