// Package term writes for people: colour where a terminal shows it, tables that
// line up, questions, and a word of patience when something takes long. It
// decides nothing.
package term

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/fatih/color"
	"golang.org/x/term"
)

// IsTerminal reports whether w or r is a terminal.
func IsTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// A Style colours text. The zero value does not.
type Style struct{ on bool }

// NewStyle returns a style that colours if on is true.
func NewStyle(on bool) Style { return Style{on} }

func (s Style) paint(text string, attrs ...color.Attribute) string {
	if !s.on || text == "" {
		return text
	}
	c := color.New(attrs...)
	c.EnableColor()
	return c.Sprint(text)
}

// Bold is for names.
func (s Style) Bold(text string) string { return s.paint(text, color.Bold) }

// Faint is for what is there to be complete.
func (s Style) Faint(text string) string { return s.paint(text, color.Faint) }

// Good is for what holds.
func (s Style) Good(text string) string { return s.paint(text, color.FgGreen) }

// Warn is for what needs a look.
func (s Style) Warn(text string) string { return s.paint(text, color.FgYellow) }

// Bad is for what does not hold.
func (s Style) Bad(text string) string { return s.paint(text, color.FgRed, color.Bold) }

// A Table lines up cells in columns, two spaces apart.
type Table struct {
	Indent string
	rows   [][]cell
	widths []int
}

type cell struct {
	text  string
	style func(string) string
}

// Row adds a row. A cell is a string, or a [Cell] with a style.
func (t *Table) Row(cells ...any) {
	row := make([]cell, len(cells))
	for i, c := range cells {
		switch c := c.(type) {
		case Cell:
			row[i] = cell{Safe(c.Text), c.Style}
		default:
			row[i] = cell{Safe(fmt.Sprint(c)), nil}
		}
	}
	t.rows = append(t.rows, row)
}

// A Cell is text with a style, which does not count for the width.
type Cell struct {
	Text  string
	Style func(string) string
}

// Rows returns how many rows wait to be written.
func (t *Table) Rows() int { return len(t.rows) }

// Write writes the rows that were added since it was called last; no column gets
// narrower. Trailing spaces are left out.
func (t *Table) Write(w io.Writer) error {
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(t.widths) {
				t.widths = append(t.widths, 0)
			}
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, row := range t.rows {
		var line strings.Builder
		line.WriteString(t.Indent)
		last := len(row) - 1
		for last > 0 && row[last].text == "" {
			last--
		}
		for i, c := range row[:last+1] {
			text := c.text
			if c.style != nil {
				text = c.style(text)
			}
			line.WriteString(text)
			if i < last {
				line.WriteString(strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(c.text)+2))
			}
		}
		if _, err := fmt.Fprintln(w, line.String()); err != nil {
			return err
		}
	}
	t.rows = t.rows[:0]
	return nil
}

// Safe returns text without the control characters by which a foreign
// certificate could write to the terminal.
func Safe(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return utf8.RuneError
		}
		return r
	}, text)
}

// Patience writes a line to w if the work it is about takes longer than a
// second, and takes it away when done is called. Where on is false it does
// nothing.
func Patience(w io.Writer, on bool, what string) (done func()) {
	_, done = Progress(w, on, what, 0)
	return done
}

// Progress is [Patience] for work that can be counted: step adds to what is done
// of total.
func Progress(w io.Writer, on bool, what string, total int) (step func(n int), done func()) {
	if !on {
		return func(int) {}, func() {}
	}
	const wait, pace = time.Second, 200 * time.Millisecond
	var mu sync.Mutex
	count, over, shown := 0, false, false
	var timer *time.Timer
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(wait, func() {
		mu.Lock()
		defer mu.Unlock()
		if over {
			return
		}
		shown = true
		line := what + " ..."
		if total > 0 {
			line = fmt.Sprintf("%s: %d of %d", what, count, total)
			timer.Reset(pace)
		}
		_, _ = fmt.Fprint(w, "\r"+line) // a lost word of patience is no error
	})
	step = func(n int) {
		mu.Lock()
		defer mu.Unlock()
		count += n
	}
	done = func() {
		timer.Stop()
		mu.Lock()
		defer mu.Unlock()
		over = true
		if shown {
			_, _ = fmt.Fprint(w, "\r\x1b[K")
		}
	}
	return step, done
}

// ErrInterrupted says that the wait for an answer was given up.
var ErrInterrupted = errors.New("interrupted")

// ReadSecret asks on a terminal for a line that is not shown. It gives up at an
// interrupt from the keyboard, and when stop is closed; the terminal is then as
// it was before.
func ReadSecret(in *os.File, out io.Writer, question string, stop <-chan struct{}) (secret []byte, err error) {
	// Raw before the question is asked, so that nothing of the answer is shown.
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, err
	}
	defer func() {
		_, printErr := fmt.Fprint(out, "\r\n")
		err = errors.Join(err, printErr, term.Restore(int(in.Fd()), before))
	}()
	if _, err := fmt.Fprint(out, question); err != nil {
		return nil, err
	}
	answered := make(chan error, 1)
	var line []byte
	go func() {
		var err error
		line, err = readRawLine(in)
		answered <- err
	}()
	select {
	case err := <-answered:
		return line, err
	case <-stop: // nothing ends the read, but the process is about to
		return nil, ErrInterrupted
	}
}

// readRawLine reads a line from a terminal that leaves all keys to the reader.
// What is typed ahead stays for the next question.
func readRawLine(in io.Reader) (line []byte, err error) {
	const interrupt, end, backspace, enter, newline, wipe, del = 3, 4, 8, '\r', '\n', 21, 127
	var key [1]byte
	for {
		if _, err := io.ReadFull(in, key[:]); err != nil {
			return nil, err
		}
		switch key[0] {
		case interrupt:
			return nil, ErrInterrupted
		case enter, newline:
			return line, nil
		case end:
			if len(line) == 0 {
				return nil, io.ErrUnexpectedEOF
			}
		case backspace, del:
			_, n := utf8.DecodeLastRune(line)
			line = line[:len(line)-n]
		case wipe:
			line = line[:0]
		default:
			line = append(line, key[0])
		}
	}
}
