package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockFolder keeps a second firewatch out of the data folder. The kernel lets go
// of the lock when the process ends, however it ends.
func lockFolder(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("another firewatch runs on %s; stop it, or give --data another folder", dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// folderID names the data folder. A process that takes the place of one that was
// killed has the same name, and with it at once the leases that the other held:
// the lock on the folder makes sure that there is only one.
func folderID(dir string) (string, error) {
	path := filepath.Join(dir, "id")
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		raw = []byte(rand.Text())
		err = writeSecretFile(path, raw)
	}
	return string(raw), err
}
