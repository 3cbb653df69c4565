package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// A process is a server that runs until the test ends.
type process struct {
	line string
	cmd  *exec.Cmd
	quit os.Signal // what it is asked to end by; nil: it is killed
	out  lockedBuffer
	done chan struct{} // closed when the process has ended
}

// A lockedBuffer is read while a process writes to it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start starts a server. When the test ends it is killed, and if the test failed
// its log is shown.
func (s *shell) start(t *testing.T, line string, more ...string) *process {
	t.Helper()
	p := &process{line: line, cmd: s.command(context.Background(), t, line, more), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	go func() {
		_ = p.cmd.Wait() // it is killed in the end; what it said is in out
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", line, lastLines(p.log(), 60))
		}
	})
	return p
}

func lastLines(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

func (p *process) stop() {
	if p.quit != nil && p.cmd.Process.Signal(p.quit) == nil {
		select {
		case <-p.done:
		case <-time.After(patience):
		}
	}
	_ = killGroup(p.cmd) // it may have ended by itself
	<-p.done
}

// ended reports whether the process has ended by itself.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// log is what the process has said so far.
func (p *process) log() string { return p.out.String() }

// Why a server does not become ready.
var (
	errEnded = errors.New("it has ended")
	errTaken = errors.New("another program has its port")
)

// await asks again and again until the answer is yes.
func (p *process) await(what string, ready func() bool) error {
	return p.awaitFor(patience, what, ready)
}

func (p *process) awaitFor(limit time.Duration, what string, ready func() bool) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !ready() {
		select {
		case <-p.done:
			if log := p.log(); strings.Contains(log, "ddress already in use") || strings.Contains(log, "eaddrinuse") {
				return errTaken
			}
			return fmt.Errorf("waiting for %s: %w", what, errEnded)
		case <-deadline.C:
			return fmt.Errorf("waiting for %s: not within %v", what, limit)
		case <-poll.C:
		}
	}
	return nil
}

// mustLog waits until the process has logged all this after a mark, which is a
// length of its log: what it logs may arrive later than what it answers.
func (p *process) mustLog(t *testing.T, mark int, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if err := p.awaitFor(5*time.Second, fmt.Sprintf("%q in the log", want), func() bool {
			return strings.Contains(p.log()[mark:], want)
		}); err != nil {
			t.Errorf("%s: %v", p.line, err)
		}
	}
}

// onFreePorts starts servers that have to be told their addresses. Between
// finding a port and using it another program may be faster; then others are
// tried.
func onFreePorts(t *testing.T, n int, start func(addresses []string) error) {
	t.Helper()
	err := errTaken
	for try := 0; try < 5 && errors.Is(err, errTaken); try++ {
		err = start(freePorts(t, n))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// freePorts finds addresses of the loopback interface that nobody listens on.
func freePorts(t *testing.T, n int) (addresses []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all together, so that they differ
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}
