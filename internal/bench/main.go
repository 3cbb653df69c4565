// Command bench times the making of one client certificate as a whole process,
// as `make bench`: mtlsctl against the other tools on PATH, in one run; the
// applying of a large manifest against the keys and signatures in it; and a
// ledger of a million rows against an empty one. It fails when a rival is
// quicker, or mtlsctl outgrows its limits.
//
// Every tool makes a fresh P-256 key and a certificate for a fresh name, signed
// by the same P-256 CA where it can be handed one. They take turns, so that
// what else the machine does falls on all of them alike. mtlsctl syncs its
// ledger to the disk, which the others have no counterpart for.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

const (
	mib        = 1 << 20
	maxMemory  = 40 * mib
	maxBinary  = 30 * mib
	subject    = "mtlsctl"            // the name whose times the others are held against
	floor      = "(empty Go program)" // for scale: no rival
	runTimeout = time.Minute
)

func main() {
	rounds := flag.Int("n", 40, "rounds to time")
	withLedger := flag.Bool("ledger", true, "also time a ledger of a million rows")
	fill := flag.String("fill", "", "fill this `ledger`, and time nothing")
	flag.Parse()
	if *fill == "" && (flag.NArg() != 1 || *rounds < 1) {
		fmt.Fprintln(os.Stderr, "usage: bench [-n ROUNDS] [-ledger=false] MTLSCTL")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *fill != "" {
		if err := fillLedger(ctx, *fill); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %v\n", err)
			stop()
			os.Exit(1)
		}
		return
	}
	if err := run(ctx, flag.Arg(0), *rounds, *withLedger); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string, rounds int, withLedger bool) error {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	// Beside the binary, not in the system's temporary folder: that may be in
	// memory, where syncing the ledger costs nothing.
	dir, err := os.MkdirTemp(filepath.Dir(binary), "bench-")
	if err != nil {
		return err
	}
	errs := []error{compare(ctx, binary, dir, rounds), compareApply(ctx, binary, dir)}
	if withLedger {
		errs = append(errs, compareLedger(ctx, binary, dir, rounds))
	}
	return errors.Join(append(errs, os.RemoveAll(dir))...)
}

func compare(ctx context.Context, binary, dir string, rounds int) error {
	tools, skipped, err := prepare(ctx, binary, dir)
	if err != nil {
		return err
	}
	// Round 0 fills the page cache and is not counted.
	for round := range rounds + 1 {
		for i := range tools {
			t := &tools[(i+round)%len(tools)]
			took, memory, err := t.issue(ctx, fmt.Sprintf("client-%d.example.com", round))
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			if round > 0 {
				t.times = append(t.times, took)
				t.memory = max(t.memory, memory)
			}
		}
	}
	slices.SortFunc(tools, func(a, b tool) int { return cmp.Compare(a.median(), b.median()) })
	if err := report(tools, skipped, rounds, dir); err != nil {
		return err
	}
	return judge(tools, binary)
}

// A tool is one way to make a client certificate.
type tool struct {
	name     string
	dir      string                         // where its commands run
	env      []string                       // added to the environment
	stdin    string                         // for the first command
	commands func(client string) [][]string // one after another, each a program and its arguments
	pipe     bool                           // the commands run at once, the output of each the input of the next

	times  []time.Duration
	memory int64 // peak resident set of any of its processes, in bytes
}

// issue makes one certificate, and returns how long that took from the start of
// the first process to the end of the last, and the peak memory.
func (t *tool) issue(ctx context.Context, client string) (time.Duration, int64, error) {
	commands := t.commands(client)
	var memory int64
	start := time.Now()
	if t.pipe {
		memory, err := t.execPipe(ctx, commands)
		return time.Since(start), memory, err
	}
	for i, args := range commands {
		stdin := ""
		if i == 0 {
			stdin = t.stdin
		}
		used, err := t.exec(ctx, stdin, args)
		if err != nil {
			return 0, 0, err
		}
		memory = max(memory, used)
	}
	return time.Since(start), memory, nil
}

func (t *tool) exec(ctx context.Context, stdin string, args []string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), t.env...)
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return peakMemory(cmd.ProcessState), nil
}

// execPipe runs commands at once, as a shell's pipe does.
func (t *tool) execPipe(ctx context.Context, commands [][]string) (memory int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	var running []*exec.Cmd
	var input io.Reader = strings.NewReader(t.stdin)
	for i, args := range commands {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir, cmd.Env, cmd.Stdin = t.dir, append(os.Environ(), t.env...), input
		if i < len(commands)-1 {
			if input, err = cmd.StdoutPipe(); err != nil {
				return 0, err
			}
		}
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		running = append(running, cmd)
	}
	// The last first: the others' pipes must be read to their end.
	for _, cmd := range slices.Backward(running) {
		if err := cmd.Wait(); err != nil {
			return 0, fmt.Errorf("%s: %w", cmd, err)
		}
		memory = max(memory, peakMemory(cmd.ProcessState))
	}
	return memory, nil
}

func (t *tool) median() time.Duration {
	sorted := slices.Sorted(slices.Values(t.times))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

func report(tools []tool, skipped []string, rounds int, dir string) error {
	base := find(tools, subject).median()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "one client certificate\tmedian of %d\tquickest\tratio\tpeak memory\n", rounds)
	for _, t := range tools {
		fmt.Fprintf(w, "%s\t%.1f ms\t%.1f ms\t%.2f\t%.1f MiB\n", t.name, milliseconds(t.median()),
			milliseconds(slices.Min(t.times)), float64(t.median())/float64(base), float64(t.memory)/mib)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Println("\nwhat was run:")
	for _, t := range tools {
		for _, args := range t.commands("NAME") {
			line := filepath.Base(args[0]) + " " + strings.Join(args[1:], " ")
			fmt.Println("  " + strings.ReplaceAll(line, dir+string(filepath.Separator), ""))
		}
	}
	if len(skipped) > 0 {
		fmt.Println("\nnot compared:")
		for _, line := range skipped {
			fmt.Println("  " + line)
		}
	}
	return nil
}

// judge says what mtlsctl did not keep to.
func judge(tools []tool, binary string) error {
	var failures []error
	mtlsctl := find(tools, subject)
	rivals := 0
	for i := range tools {
		if t := &tools[i]; t.name != subject && t.name != floor {
			rivals++
			if t.median() < mtlsctl.median() {
				failures = append(failures, fmt.Errorf("%s is quicker: %.1f ms against %.1f ms", t.name,
					milliseconds(t.median()), milliseconds(mtlsctl.median())))
			}
		}
	}
	if rivals == 0 {
		failures = append(failures, errors.New("found nothing to compare with: install one of the tools above"))
	}
	if mtlsctl.memory >= maxMemory {
		failures = append(failures, fmt.Errorf("peak memory is %.1f MiB; the limit is %d", float64(mtlsctl.memory)/mib, maxMemory/mib))
	}
	info, err := os.Stat(binary)
	if err != nil {
		return err
	}
	fmt.Printf("\nbinary: %.1f MiB\n", float64(info.Size())/mib)
	if info.Size() >= maxBinary {
		failures = append(failures, fmt.Errorf("the binary is %.1f MiB; the limit is %d", float64(info.Size())/mib, maxBinary/mib))
	}
	return errors.Join(failures...)
}

func find(tools []tool, name string) *tool {
	return &tools[slices.IndexFunc(tools, func(t tool) bool { return t.name == name })]
}

func milliseconds(d time.Duration) float64 {
	return float64(d) / float64(time.Millisecond)
}
