// Renders conversations with the TEMPLATE of Modelfiles, as Ollama does on a given day: DATE JOBS
//
// A line of JOBS names a Modelfile, a request as Ollama's API has it (messages alone, or an object of messages, tools and
// think) and a file with the text that is wanted; where that is missing the template must fail. "may" behind them: it
// may fail anyway.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/template"
	"text/template/parse"
)

// What Ollama gives its templates: template/template.go and api/types.go there.
type arguments map[string]any

type call struct {
	ID       string
	Function struct {
		Index     int
		Name      string
		Arguments arguments
	}
}

type message struct {
	Role, Content, Thinking string
	ToolCalls               []call `json:"tool_calls"`
	ToolName                string `json:"tool_name"`
	ToolCallID              string `json:"tool_call_id"`
}

type types []string

func (t *types) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*t = types{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(t))
}

type properties map[string]property

type nested struct{ properties properties }

func (n *nested) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &n.properties) }
func (n *nested) ToMap() properties               { return n.properties }

type property struct {
	AnyOf       []property
	Type        types
	Items       any
	Description string
	Enum        []any
	Properties  *nested
	Required    []string
}

type tool struct {
	Type     string
	Items    any
	Function struct {
		Name, Description string
		Parameters        struct {
			Type       string
			Defs       any `json:"$defs"`
			Items      any
			Required   []string
			Properties properties
		}
	}
}

type request struct {
	Messages []*message
	Tools    []tool
	Think    *bool
}

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// Of each Modelfile once: hundreds of conversations take it.
var compiled = map[string]*template.Template{}

func compile(modelfile, date string) (*template.Template, error) {
	if t := compiled[modelfile]; t != nil {
		return t, nil
	}
	functions := template.FuncMap{
		"currentDate": func(...string) string { return date },
		"json": func(v any) string {
			text, _ := json.Marshal(v)
			return string(text)
		},
	}
	t, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(strings.Split(modelfile, `"""`)[1])
	if err == nil {
		compiled[modelfile] = t
	}
	return t, err
}

func render(modelfile, date string, r *request) (string, error) {
	t, err := compile(modelfile, date)
	if err != nil {
		return "", err
	}
	if len(r.Tools) > 0 && !strings.Contains(modelfile, "$.Tools") {
		return "", errors.New("the server refuses tools for such a model")
	}
	var out strings.Builder
	think := r.Think != nil && *r.Think
	err = t.Execute(&out, map[string]any{"Messages": r.Messages, "Tools": r.Tools, "Think": think, "IsThinkSet": r.Think != nil})
	return out.String(), err
}

// The first text behind "if .ToolCalls", and the first and last one of the list that prints .Thinking: where Ollama finds
// out how an answer calls, and where its thoughts end.
type tags struct{ Call, Open, Close string }

func uses(n parse.Node, field string) bool {
	return strings.Contains(n.String(), "."+field)
}

func firstText(l *parse.ListNode) string {
	for _, n := range l.Nodes {
		switch x := n.(type) {
		case *parse.TextNode:
			if strings.TrimSpace(string(x.Text)) != "" {
				return strings.TrimSpace(string(x.Text))
			}
		case *parse.RangeNode:
			return firstText(x.List)
		default:
			return ""
		}
	}
	return ""
}

func (t *tags) walk(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch x := n.(type) {
		case *parse.IfNode:
			if uses(x.Pipe, "ToolCalls") && t.Call == "" {
				t.Call = firstText(x.List)
			}
			t.walk(x.List)
			t.walk(x.ElseList)
		case *parse.RangeNode:
			t.walk(x.List)
		case *parse.ActionNode, *parse.TemplateNode:
			first, one := l.Nodes[0].(*parse.TextNode)
			last, two := l.Nodes[len(l.Nodes)-1].(*parse.TextNode)
			if one && two && uses(n, "Thinking") {
				t.Open, t.Close = strings.TrimSpace(string(first.Text)), strings.TrimSpace(string(last.Text))
			}
		}
	}
}

func findTags(modelfile string) tags {
	t, err := compile(modelfile, "")
	if err != nil {
		panic(err)
	}
	var found tags
	found.walk(t.Tree.Root)
	return found
}

func main() {
	if len(os.Args) == 2 {
		found := findTags(read(os.Args[1]))
		fmt.Printf("%q %q %q\n", found.Call, found.Open, found.Close)
		return
	}
	same, failed, wrong := 0, 0, 0
	for _, line := range strings.Split(strings.TrimSpace(read(os.Args[2])), "\n") {
		job := strings.Split(line, "\t")
		var r request
		text := []byte(read(job[1]))
		if text[0] == '[' {
			text = []byte(fmt.Sprintf(`{"messages": %s}`, text))
		}
		if err := json.Unmarshal(text, &r); err != nil {
			panic(err)
		}
		got, err := render(read(job[0]), os.Args[1], &r)
		want, missing := os.ReadFile(job[2])
		switch {
		case err != nil && (missing != nil || len(job) > 3):
			failed++
		case err == nil && missing == nil && got == string(want):
			same++
		default:
			wrong++
			fmt.Printf("%s: %s\n  got    %q, %v\n  wanted %q, %v\n", job[0], text, got, err, want, missing)
		}
	}
	fmt.Printf("%d texts the same, %d refused by both\n", same, failed)
	if wrong > 0 {
		os.Exit(1)
	}
}
