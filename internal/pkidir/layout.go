package pkidir

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
)

// What is in a PKI directory.
const (
	settingsFile    = "mtlsctl.yaml"
	ledgerFile      = "ledger.db"
	keysFile        = "keys.db"
	authoritiesDir  = "authorities"
	certificatesDir = "certificates"
	profilesDir     = "profiles"
	stagingDir      = ".staging"
	lockFile        = ".lock"
	turnFile        = ".lock-kubeadm" // see Dir.Turn

	// The files of a bundle and of an authority.
	ChainFile = "tls.crt"
	KeyFile   = "tls.key"
	RootsFile = "ca.crt"
)

// The slash of a name with a namespace is another sign in a file name, one that
// no name has. What would be too long for a file name is cut, and told apart by
// a digest of the whole, after a second one.
const (
	slashSign     = "~"
	maxFolderName = 200
	digestSize    = 16 // bytes
)

// folderName returns how the folder of the authority called name is called.
func folderName(name string) string {
	f := strings.Replace(name, "/", slashSign, 1)
	if len(f) <= maxFolderName {
		return f
	}
	sum := sha256.Sum256([]byte(name))
	digest := hex.EncodeToString(sum[:digestSize])
	return f[:maxFolderName-len(slashSign)-len(digest)] + slashSign + digest
}

// nameOfFolder is the way back. What was cut is looked up among the authorities
// of the ledger; the name of what is not there is empty.
func (d *Dir) nameOfFolder(ctx context.Context, folder string) (name string, err error) {
	if strings.Count(folder, slashSign) < 2 {
		return strings.Replace(folder, slashSign, "/", 1), nil
	}
	l, err := d.Ledger(ctx)
	if err != nil {
		return "", err
	}
	// Of one that was never current, or is no more, there may still be a stage.
	err = l.Each(ctx, ledger.Filter{Kind: ledger.KindAuthority, All: true}, func(e *ledger.Entry) error {
		if folderName(e.Name) == folder {
			name = e.Name
		}
		return nil
	})
	return name, err
}

// authorityFolder returns the folder of the authority called name.
func authorityFolder(name string) string { return path.Join(authoritiesDir, folderName(name)) }

// folderOf returns the folder of the folders of a kind of entries.
func folderOf(kind string) string {
	if kind == ledger.KindAuthority {
		return authoritiesDir
	}
	return certificatesDir
}

// isKept reports whether an entry has no folder: it is a certificate whose name
// has a namespace. Its key is among the keys of keys.db, and the rest in the
// ledger and in the folder of its issuer.
func isKept(e *ledger.Entry) bool {
	return e.Kind != ledger.KindAuthority && strings.Contains(e.Name, "/")
}

// targetOf returns the folder of an entry that has one.
func targetOf(e *ledger.Entry) string {
	return path.Join(folderOf(e.Kind), folderName(e.Name))
}

// stageOf returns the folder in which an entry's files are put together. Its
// name finds the entry again.
func stageOf(e *ledger.Entry) string {
	return path.Join(stagingDir, e.Serial+"."+folderName(e.Issuer))
}

// entryOfStage returns the entry that a folder was staged for, or
// [ledger.ErrNotFound].
func (d *Dir) entryOfStage(ctx context.Context, stage string) (*ledger.Entry, error) {
	serial, folder, _ := strings.Cut(stage, ".")
	issuer, err := d.nameOfFolder(ctx, folder)
	if err != nil {
		return nil, err
	}
	e, err := d.ledger.BySerial(ctx, issuer, serial)
	if err != nil {
		return nil, err
	}
	if stageOf(e) != path.Join(stagingDir, stage) {
		return nil, fmt.Errorf("%s %w", stage, ledger.ErrNotFound)
	}
	return e, nil
}

// FolderOf returns the folder that holds an entry's files, and whether it is
// there. What has no folder is in the file that is returned.
func (d *Dir) FolderOf(e *ledger.Entry) (string, bool) {
	if isKept(e) {
		return d.Path(keysFile), false
	}
	folder := targetOf(e)
	return d.Path(folder), d.hasFolder(folder)
}
