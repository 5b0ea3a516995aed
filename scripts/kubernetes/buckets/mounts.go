package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const patience = 10 * time.Second

// mounts makes gcsfuse mount buckets, and ends that.
type mounts struct {
	gcsfuse  string // the program
	endpoint string // a file with the emulator's address
	mutex    sync.Mutex
}

// fuseOptions are what the kernel or FUSE itself is told; all others are gcsfuse's own.
var fuseOptions = []string{
	"allow_other", "default_permissions", "exec", "noatime", "nodev", "noexec", "nosuid", "ro", "rw",
}

// mount mounts a bucket on a folder; it is no error if it is there already, since a kubelet asks again.
// It returns when the files can be read, or with what gcsfuse said.
func (m *mounts) mount(bucket, target string, readOnly bool, options []string) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if is, err := isMounted(target); is || err != nil {
		return err
	}
	endpoint, err := m.find(bucket)
	if err != nil {
		return fmt.Errorf("no bucket %s: %w", bucket, err)
	}
	if err := os.MkdirAll(target, 0o750); err != nil {
		return err
	}
	flags, settings := sort(options)
	if readOnly {
		flags = append(flags, "-o", "ro")
	}
	if len(settings) > 0 {
		file, err := writeSettings(settings)
		if err != nil {
			return err
		}
		defer os.Remove(file)
		flags = append(flags, "--config-file="+file)
	}
	command := append([]string{
		"--custom-endpoint=" + endpoint,
		"--anonymous-access", "--enable-hns=false", "-o", "allow_other",
	}, flags...)
	if said, err := run(m.gcsfuse, append(command, bucket, target)); err != nil {
		return fmt.Errorf("no bucket %s: %w: %s", bucket, err, lastLines(said, 3))
	}
	return nil
}

// find returns where a bucket can be asked for. That it is there is looked at first, as GKE's driver
// does: gcsfuse mounts what is not there.
func (m *mounts) find(bucket string) (string, error) {
	where, err := os.ReadFile(m.endpoint)
	if err != nil {
		return "", fmt.Errorf("nobody has said where buckets are: %w", err)
	}
	endpoint := strings.TrimSpace(string(where)) + "/storage/v1/"
	client := http.Client{Timeout: patience}
	answer, err := client.Get(endpoint + "b/" + url.PathEscape(bucket))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", errors.New(answer.Status)
	}
	return endpoint, nil
}

// run waits for a program, and not for what goes on in the background with its output: that is a file.
func run(program string, arguments []string) (string, error) {
	out, err := os.CreateTemp("", "gcsfuse-*.log")
	if err != nil {
		return "", err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	command := exec.Command(program, arguments...)
	command.Stdout, command.Stderr = out, out
	failed := command.Run()
	said, err := os.ReadFile(out.Name())
	return string(said), errors.Join(failed, err)
}

// unmount takes a mount away, whoever still reads in it, and the folder.
func (m *mounts) unmount(target string) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	err := syscall.Unmount(target, syscall.MNT_DETACH)
	if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
		return err
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// isMounted does not look into the folder: one whose emulator is away would not answer.
func isMounted(target string) (bool, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == target {
			return true, nil
		}
	}
	return false, nil
}

// sort makes flags and a tree of settings of mount options: `implicit-dirs`, `uid=7` and `ro` are
// flags, `file-cache:max-size-mb:5` is a setting.
func sort(options []string) (flags []string, settings map[string]any) {
	settings = map[string]any{}
	for option := range strings.SplitSeq(strings.Join(options, ","), ",") {
		switch keys := strings.Split(option, ":"); {
		case option == "":
		case len(keys) > 1:
			set(settings, keys[:len(keys)-1], keys[len(keys)-1])
		case slices.Contains(fuseOptions, option):
			flags = append(flags, "-o", option)
		default:
			flags = append(flags, "--"+option)
		}
	}
	return flags, settings
}

func set(settings map[string]any, keys []string, value string) {
	for _, key := range keys[:len(keys)-1] {
		inner, ok := settings[key].(map[string]any)
		if !ok {
			inner = map[string]any{}
			settings[key] = inner
		}
		settings = inner
	}
	settings[keys[len(keys)-1]] = plain(value)
}

func plain(value string) any {
	if number, err := strconv.Atoi(value); err == nil {
		return number
	}
	if is, err := strconv.ParseBool(value); err == nil {
		return is
	}
	return value
}

// writeSettings writes JSON, which is YAML too.
func writeSettings(settings map[string]any) (string, error) {
	text, err := json.Marshal(settings)
	if err != nil {
		return "", err
	}
	file, err := os.CreateTemp("", "gcsfuse-*.yaml")
	if err != nil {
		return "", err
	}
	defer file.Close()
	_, err = file.Write(text)
	return filepath.Clean(file.Name()), err
}

func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "; ")
}
