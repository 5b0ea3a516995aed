// probe is what tests of the cluster itself run in pods:
//
//	probe hold            says when it is told to end, and stays
//	probe serve ADDRESS   answers HTTP
//	probe read PLACE      prints a file, or what a URL answers
//	probe fill MEGABYTES  takes memory, and stays
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const patience = 10 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch verb := strings.Join(arguments, " "); {
	case verb == "hold":
		return hold()
	case strings.HasPrefix(verb, "serve "):
		return http.ListenAndServe(arguments[1], http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "served") },
		))
	case strings.HasPrefix(verb, "read "):
		return read(arguments[1])
	case strings.HasPrefix(verb, "fill "):
		return fill(arguments[1])
	default:
		return fmt.Errorf("usage: probe hold | serve ADDRESS | read PLACE | fill MEGABYTES")
	}
}

func hold() error {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	fmt.Println("holding")
	<-told
	fmt.Println("told to end")
	time.Sleep(time.Hour)
	return nil
}

func read(place string) error {
	if !strings.HasPrefix(place, "http") {
		text, err := os.ReadFile(place)
		fmt.Print(string(text))
		return err
	}
	client := http.Client{Timeout: patience}
	answer, err := client.Get(place)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	fmt.Print(string(text))
	return err
}

func fill(megabytes string) error {
	count, err := strconv.Atoi(megabytes)
	if err != nil {
		return err
	}
	taken := make([]byte, count<<20)
	for at := 0; at < len(taken); at += os.Getpagesize() {
		taken[at] = 1
	}
	fmt.Println("filled")
	time.Sleep(time.Hour)
	fmt.Println(taken[0])
	return nil
}
