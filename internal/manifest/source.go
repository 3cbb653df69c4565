package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What can be wrong with a source, for errors.Is.
var (
	ErrRemote = errors.New("manifests are not fetched from the network")
	ErrNone   = errors.New("no manifests there")
	ErrStdin  = errors.New("standard input can be read only once")
)

// A Source is one input to read.
type Source struct {
	Name string // as given, or with the folder in front; "standard input" for -
	open func() (io.ReadCloser, error)
}

// Sources expands what -f is given: a file, a folder, a glob, or - for stdin. Of
// a folder its *.yaml, *.yml and *.json files are taken, sorted, and with
// recursive those of the folders below it too. A file named twice is read once.
// Nothing is opened yet. Errors are ErrRemote for a URL, ErrNone for a folder or
// a glob without manifests, ErrStdin for a second -, and the system's.
func Sources(args []string, recursive bool, stdin io.Reader) ([]Source, error) {
	var sources []Source
	seen := map[string]bool{}
	for _, arg := range args {
		if arg == "-" {
			if seen[arg] {
				return nil, ErrStdin
			}
			seen[arg] = true
			sources = append(sources, Source{"standard input", func() (io.ReadCloser, error) { return io.NopCloser(stdin), nil }})
			continue
		}
		files, err := expand(arg, recursive)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			clean := filepath.Clean(file)
			if seen["./"+clean] {
				continue
			}
			seen["./"+clean] = true
			sources = append(sources, Source{file, func() (io.ReadCloser, error) { return os.Open(file) }})
		}
	}
	return sources, nil
}

// expand returns the files that one argument stands for. A name that exists is
// meant as it is, even if it looks like a glob.
func expand(arg string, recursive bool) ([]string, error) {
	if isURL(arg) {
		return nil, fmt.Errorf("%s: %w", arg, ErrRemote)
	}
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		return folder(arg, recursive)
	case err == nil:
		return []string{arg}, nil
	case !errors.Is(err, fs.ErrNotExist) || !strings.ContainsAny(arg, "*?["):
		return nil, err
	}
	names, err := filepath.Glob(arg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", arg, err)
	}
	var files []string
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, name)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: %w", arg, ErrNone)
	}
	return files, nil
}

// folder returns the manifests in a folder. Links to files are followed, as a
// mounted ConfigMap needs; links to folders are not, so that there is an end.
func folder(dir string, recursive bool) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && !recursive && path != dir:
			return fs.SkipDir
		case d.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)):
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			if info.IsDir() {
				return nil
			}
		}
		files = append(files, path)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: %w", dir, ErrNone)
	}
	return files, nil
}

func isURL(arg string) bool {
	scheme, _, ok := strings.Cut(arg, "://")
	return ok && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"))
}
