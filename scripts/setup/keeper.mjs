/**
 * Ends a process group when the program that started it is gone, however it
 * ended: that program holds this one's standard input open. Argument: the group.
 */
const group = Number(process.argv[2]);

process.stdin.resume().on("close", () => {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // It ended by itself.
  }
});
