"""Templates and contexts for template_peer.py: each feature, many corners of Python."""
import itertools

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "The weather of a place, \"now\" <b>",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": "Name of the city\nand nothing else"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
            "days": {"type": ["integer", "null"], "minimum": 1, "maximum": 1e16},
            "where": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]},
            "tags": {"type": "array", "items": {"type": "string"}}},
            "required": ["city"]}}},
    {"type": "function", "function": {"name": "now", "description": "", "parameters":
                                      {"type": "object", "properties": {}, "required": []}}},
]


def call(arguments, **more):
    return {"type": "function", "function": {"name": "get_weather", "arguments": arguments}, **more}


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


def conversations():
    system, hi = turn("system", "You are terse."), turn("user", "Hi")
    answer, more = turn("assistant", "Hello! Été 😀"), turn("user", "  And now?\n")
    parts = [{"type": "text", "text": "Look: "}, {"type": "text", "text": "this."}]
    image = [{"type": "image"}, {"type": "text", "text": "What is it?"}]
    thought = turn("assistant", "<think>\nHm.\n</think>\n\nYes.")
    reasoned = turn("assistant", "Yes.", reasoning_content="It is so.")
    asks = turn("assistant", None, tool_calls=[call({"city": "Köln", "days": 2, "x": [1.5, None, True]})])
    asks_id = turn("assistant", "", tool_calls=[call({"city": "Rome"}, id="call00001")])
    asks_text = turn("assistant", "Wait.", tool_calls=[call('{"city": "Oslo"}', id="abcdefghi")])
    asks_two = turn("assistant", "", tool_calls=[call({"city": "A"}, id="a12345678"),
                                                 call({"city": "B"}, id="b12345678")])
    like = "{{ messages }} {% endfor %}{# x #} <|im_end|></s> <think> {{ '}}' }}"
    said = turn("tool", '{"temp": 21}', name="get_weather", tool_call_id="call00001")
    lists = [
        [hi], [system, hi], [hi, answer], [system, hi, answer, more], [hi, answer, more, answer],
        [hi, hi], [answer], [hi, answer, system, more], [hi, thought, more], [hi, thought],
        [hi, reasoned, more], [hi, reasoned], [turn("user", parts)], [turn("user", image), answer],
        [system, turn("user", parts), turn("assistant", parts)],
        [hi, asks, said, answer], [hi, asks_id, said], [hi, asks_text, said, answer, more],
        [system, hi, asks_two, said, said, answer], [hi, asks_id],
        [turn("developer", "Dev."), hi, answer], [turn("user", ""), turn("assistant", "")],
        [hi, {"role": "assistant"}], [hi, turn("assistant", None)], [system], [],
        [turn("system", parts), hi, answer], [turn("ipython", "out"), hi], [hi, turn("critic", "No.")],
        [turn("system", like), turn("user", like), turn("assistant", like), turn("user", like)],
        [hi, turn("assistant", "Yes.", reasoning="So."), more, turn("assistant", "No.", thinking="Not so."), hi],
        [hi, turn("assistant", "", reasoning_content="Look it up.", tool_calls=asks_id["tool_calls"]), said,
         turn("assistant", "It is 21.", reasoning_content="Said so."), more],
        [system, hi, asks_id, turn("tool", [{"type": "text", "text": "21"}], tool_call_id="call00001")],
    ]
    names = dict(bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    for i, messages in enumerate(lists):
        tools = TOOLS if any("tool_calls" in m for m in messages) or i % 7 == 3 else None
        for asked in True, False:
            yield dict(messages=messages, tools=tools, documents=None, add_generation_prompt=asked, **names)
    yield dict(messages=[system, hi], tools=TOOLS, documents=None, add_generation_prompt=True,
               enable_thinking=False, **names)
    yield dict(messages=[hi, answer, more], tools=None, documents=None, add_generation_prompt=True,
               enable_thinking=True, date_string="26 Jul 2024", **names)
    yield dict(messages=[hi], add_generation_prompt=True)
    yield dict(messages=[hi, answer, more], tools=TOOLS[:1], documents=[
        {"title": "T", "text": "One."}, {"title": "U", "text": "Two."}], add_generation_prompt=True,
        tools_in_user_message=False, builtin_tools=["code_interpreter"], thinking=True,
        reasoning_effort="high", **names)


VALUES = dict(
    s="Hello, World", t="  pad\tded\n", u="äöü ß 😀é", e="", q="it's", d2='say "x"', both="'\"", bs="a\\b\n",
    i=7, n=-3, z=0, f=2.5, big=1e16, small=1e-7, g=100000.0, third=1 / 3, yes=True, no=False, nil=None,
    l=[3, 1, 2], ls=["b", "a", "C"], nested=[[1, [2]], {"k": "v"}], empty=[],
    d={"b": 1, "a": {"c": [1, 2]}, "items": 5, "get": "x"}, d0={}, keys={"k1": 1, "K0": 2, "k2": None},
    people=[{"name": "Ann", "age": 30}, {"name": "bob", "age": 25, "x": None}, {"name": "Cy", "age": 30}],
    ctrl="\x01\x1f\x7f\u200b\u2028", nums=[1, 2.0, True, -1], dup=[1, 1.0, "a", "A", None, None],
    words="one two  three\u00a0four", padded=" \na b  c\t ", lines="a\nb\r\nc\x0bd\n\ne", dots="a.b.c.d", path="x/y//z")

EXPRESSIONS = """
s t u e q d2 both bs i n z f big small g third yes no nil l ls nested empty d d0 keys people ctrl nums missing
-i +n -f -yes i+n i-n i*n i/2 i//2 n//2 i%3 n%3 f%2 n%2.5 i**2 2**0 f+i yes+yes i/n 7/7 1e300*1 -7//2 -7%3 7%-3
1/0 1//0 1%0 'a'+'b' s+u l+ls s+i s+nil nil+s l+s (1,2)+(3,) s*2 2*s l*2 n*s 's'*0 s*f s-t s/t s%t
s~i s~nil s~l~d s~missing ~s i~i -i~i 1~2+3 1+2~3
s==s s!=t i==7 i==7.0 yes==1 nil==none l==[3,1,2] (1,2)==[1,2] d0=={} missing==missing missing==none nil==no
i<8 i<f<8 1<2<3<2 1<3>2 s<u 'a'<'b' 'Z'<'a' l<[4] [1]<[1,2] s<i nil<1 missing<1 1<missing d<d0
'e' in s 'x' in s '' in e 1 in l 9 not in l 'b' in d 'zz' in d nil in l 's' in nil 1 in s 'a' in missing
not s not e not nil not 1 > 2 yes and s e and s e or s nil or no 1 and 2 or 3 not yes or yes
s if yes else t s if no else t s if no (s if no)|default('k') 1 if no else 2 if yes else 3
s[0] s[-1] s[99] s[1:3] s[:5] s[5:] s[-3:] s[::-1] s[::2] s[5:1:-1] s[1:99] s[:-1] s[99:] u[0] u[-1] u[1:] u[::-1] u[-2:]
l[0] l[-1] l[9] l[1:] l[::-1] l[:-1] l[-2:] l['x'] l.x l[nil] l[s] l[1.0] l[yes] l[::0] l[nil:2] l['a':] (1,2,3)[1:] (1,2,3)[0]
d.b d['b'] d.a.c d['a']['c'][0] d.zz d['zz'] d.zz.y d['zz']['y'] d['items'] d.get('b') d.get('zz') d.get('zz', 4) d['get']
nil.x nil['x'] i.x f.x missing.x missing['x'] missing() s.x s['x'] l.0 people.0.name people[0].name d[l] d[1:2] nil[1:] missing[1:] s[missing]
[] [1] [1,] [1,'a',none] () (1,) (1,2) {} {'a':1} {'a':1,'b':[{}]} {1:2} {none:1,true:2} {'a':1,'a':2} [[],()]
s|length l|length d|length e|length missing|length i|length nil|length u|length
s|upper u|upper s|lower s|title s|capitalize 'fOO bar-baz (qux'|title i|upper nil|lower 'ß'|upper 'é'|upper 'ÀÉ'|lower
t|trim s|trim('Hd') i|trim nil|trim t|trim|length '\u3000x\u3000'|trim u|trim('é😀')
s|replace('l','L') s|replace('l','L',1) s|replace('','-') 'abc'|replace('b','') i|replace(7,8) s|replace('zz','y') u|replace('ß','ss')
s|default('k') missing|default('k') missing|default nil|default('k') nil|default('k',true) e|default('k',boolean=true) missing|d(1) missing.x|default('k') d.zz|default('k')
l|join l|join(',') ls|join(', ') nested|join('|') s|join('-') missing|join(',') i|join people|join(', ',attribute='name') l|join(1) u|join(' ')
l|first l|last empty|first empty|last s|first s|last d|first missing|first missing|last i|first people|last
l|list s|list d|list missing|list i|list u|list l|sort ls|sort ls|sort(case_sensitive=true) l|sort(reverse=true) people|sort(attribute='age') people|sort(attribute='age',reverse=true) people|map(attribute='name')|sort nums|sort dup|sort people|sort
l|reverse|list s|reverse u|reverse d|reverse|list missing|reverse l|reverse|length ls|reverse|join
l|unique|list dup|unique|list ls|unique|join people|unique(attribute='age')|list dup|unique(case_sensitive=true)|list
l|min l|max ls|min ls|max empty|min people|max(attribute='age') nums|max nums|min dup|max l|sum empty|sum people|sum(attribute='age') ls|sum
l|map('string')|list ls|map('upper')|list people|map(attribute='name')|list people|map(attribute='x',default='-')|list people|map(attribute='zz')|list ls|map('replace','a','x')|join l|map('nofilter')|list l|map|list
l|select('odd')|list l|reject('odd')|list l|select('gt',1)|list l|select|list nums|select('equalto',1)|list people|selectattr('x')|list people|selectattr('x','defined')|list people|selectattr('age','eq',30)|map(attribute='name')|list people|rejectattr('age','eq',30)|list people|rejectattr('x')|list l|select('notest')|list people|selectattr('age','in',[25])|list
d|items|list d|items d0|items|list missing|items|list l|items|list d|dictsort keys|dictsort keys|dictsort(true) keys|dictsort(reverse=true) keys|dictsort(by='value') l|dictsort d0|dictsort
i|string l|string nil|string s|string s|safe l|safe s|safe|upper s|safe+s s|safe~s i|int '12'|int ' 12 '|int 'x'|int 'x'|int(5) '4.7'|int f|int -f|int nil|int missing|int l|int '1e3'|int '-5'|int '+5'|int '1_0'|int
'1.5'|float i|float 'x'|float 'x'|float(2.0) nil|float '1e400'|float -3|abs n|abs f|abs s|abs
d|tojson l|tojson s|tojson u|tojson ctrl|tojson nil|tojson yes|tojson f|tojson big|tojson small|tojson nested|tojson d|tojson(indent=2) d|tojson(indent=0) d|tojson(2) u|tojson(ensure_ascii=true) u|tojson(ensure_ascii=false) d|tojson(sort_keys=true) d|tojson(separators=(',',':')) d|tojson(indent=4,separators=(', ','=')) empty|tojson(indent=2) d0|tojson(indent=2) missing|tojson (1,2)|tojson d|items|tojson {1:2,none:3,true:4,1.5:5}|tojson d|tojson(indent='  ') nested|tojson(indent=1)
lines|indent lines|indent(2) lines|indent(2,true) lines|indent(2,first=true) lines|indent(2,false,true) lines|indent('> ') s|indent i|indent e|indent t|indent(width=3)
s.upper() s.lower() s.title() s.capitalize() t.strip() t.lstrip() t.rstrip() s.strip('Hd') s.lstrip('H') s.rstrip('d') s.strip(nil) s.strip(1) u.strip('é')
words.split() words.split(' ') words.split(' ',1) words.split(nil,1) words.split(maxsplit=1) words.split(sep=' ') dots.split('.') dots.split('.',-1) dots.split('.',0) e.split() e.split(',') s.split('') dots.rsplit('.',1) dots.rsplit('.') words.rsplit() words.rsplit(nil,1) padded.split(nil,1) padded.split(nil,0) padded.rsplit(nil,1) padded.rsplit(nil,0) padded.rsplit(nil,9) path.split('/') path.rsplit('//') dots.split('.')[-1] s.split(1)
lines.splitlines() lines.splitlines(true) e.splitlines() t.splitlines()
s.startswith('He') s.endswith('d') s.startswith(('x','H')) s.endswith(('x',)) s.startswith('') s.startswith(1) s.startswith('e',1) s.find('l') s.find('z') s.rfind('l') u.find('é') u.rfind('😀') s.index('W') s.index('z') s.count('l') s.count('') u.count('ä') e.count('')
s.replace('l','L') s.replace('l','L',1) s.replace('l') s.replace(old='l',new='x') s.partition(',') s.partition('z') s.rpartition('l') s.rpartition('z') s.removeprefix('He') s.removesuffix('ld') s.removeprefix('x') s.removesuffix('') '-'.join(ls) '-'.join(l) ''.join(s) '5'.isdigit() e.isdigit() ' '.isspace() s.isspace() s.zfill(3) s.center(20) s.nomethod() s.encode() s.format() '{}'.format(1) '{}-{}'.format(s,nil) '{1}{0}'.format(1,2) '{a}'.format(a=l) '{{}}'.format() '{}'.format() '{'.format() '{0}{}'.format(1,2) '{:>5}'.format(1) '{a.b}'.format(a=d) '{}'.format(missing) s|safe+'<&>"'~t 'a<'+(s|safe)+nil (s|safe)*2 '&'+(s|safe) s.isalpha()
d.keys()|list d.values()|list d.items()|list d.keys() d.items()|length d.keys()|length d.items()|first d.keys()|sort d.copy() keys.items() d.pop('b') l.append(1) l.pop() d.update({}) l.index(1) l.index(9) l.count(1) l.extend([1]) d.nomethod() (1,2).index(2) d['keys']() l|length>2
s is string i is string s is defined missing is defined missing is undefined nil is none i is none nil is not none d is mapping l is mapping l is iterable s is iterable i is iterable missing is iterable d is sequence l is sequence s is sequence i is sequence missing is sequence d|items is sequence d.items() is iterable
i is number yes is number f is number s is number yes is boolean i is boolean yes is true i is true no is false z is false i is integer yes is integer f is integer f is float i is odd i is even i is divisibleby 7 i is divisibleby(3) f is odd s is odd nil is odd
'abc' is lower 'ABC' is upper 'aB' is lower '1' is lower i is upper u is lower i is eq 7 i is equalto 7 i is ne 7 i is lt 8 i is ge 7 i is in [7] s is in d i is sameas 7 yes is sameas true nil is sameas none s is callable range is callable s is escaped s is safe s is not string not s is string i is defined and i is number i is gt 3 and yes i is nonsense s|nonsense s is filter
range(3)|list range(1,4)|list range(5,0,-2)|list range(0) range(3)|length range(0)|first range(1000000)|length range(1,2,0) range(2)[1] range() range('a') range(3)|join range(3)==range(0,3) range(3) is sequence range(3)[::-1]
dict(a=1) dict(d0,b=2) dict() namespace(a=1).a namespace().zz namespace(d0).a namespace namespace() strftime_now('%Y-%m-%d') strftime_now('%d %b %Y') strftime_now('%B %d, %Y %H:%M:%S %A %a %j %p %I %y %%') strftime_now('%-d/%-m') strftime_now('%Q') strftime_now() lipsum(1) cycler('a') joiner(',') self raise_exception('bad '~s) raise_exception()
1_000 0x10 1e3 1.5e-3 .5 1. 007 00 12345678901234567890 9223372036854775807+1 -9223372036854775807-1 0.1+0.2 1e22 1e21 123456789.123 1e15 1e-4 1e-5 5e-324 1.7976931348623157e308 -0.0 0.0 100.0 1e16 2.5e20
'a' 'b' 'a' "b" '\\n\\t\\x41\\u00e9\\101\\q\\'' "\\"" 'a\\\\b' '\\x4' '\\ud83d' '\\N{BULLET}' 'é'
true True TRUE none None null loop
(s|upper)[0] s|upper|lower -i|abs (-i)|abs i|string~i s|length+1 not s|length>3 'a'~'b'|upper [1,2]|length==2 -2**2 2**3**2 2**-1 (2)
s.split(',')[0].strip()|lower d.a.c[-1]+1 people[-1]['name'][0] people|length-1 (people|first).name d.items()|list|length d|items|list|first|first
l|sort|first+l|sort|last [i,n]|max-[i,n]|min {'a':i}.a {'a':i}['a'] [1,2,3][i%3] (i,n)[0] ((1)) ((1,),)
""".strip()

STATEMENTS = r"""
{% for x in l %}{{ x }}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.revindex0 }};{% endfor %}
{% for x in l %}{{ loop.previtem }}|{{ loop.nextitem }};{% endfor %}
{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}
{% for x in l %}{{ loop.depth }}{{ loop.depth0 }}{{ loop.cycle('a','b') }}{{ loop.changed(x>1) }}{% endfor %}
{% for x in empty %}x{% else %}none{% endfor %}{% for x in missing %}x{% else %}none{% endfor %}
{% for x in l if x > 1 %}{{ x }}{{ loop.index }}{{ loop.last }}{{ loop.length }}{% else %}n{% endfor %}
{% for x in l if x > 5 %}{{ x }}{% else %}n{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }},{% endfor %}{% for k in d %}{{ k }}{% endfor %}
{% for k, v in d|items %}{{ loop.index }}{{ loop.length }}{{ k }};{% endfor %}
{% for k, v in l %}x{% endfor %}
{% for a, b, c in [[1,2,3],'xyz'] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for (a, b) in [(1,2)] %}{{ a }}{{ b }}{% endfor %}
{% for x in i %}{{ x }}{% endfor %}
{% for x in nil %}{{ x }}{% endfor %}
{% for c in u %}[{{ c }}]{% endfor %}
{% for x in l %}{% for y in ls %}{{ loop.index }}{{ x }}{{ y }}{% endfor %}{{ loop.index }};{% endfor %}
{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}
{% for x in l %}{% set q = x %}{{ q }}{% endfor %}{{ q }}
{% set y = 1 %}{% for x in l %}{{ y }}{% set y = x %}{{ y }}{% endfor %}{{ y }}
{% set ns = namespace(n=0, s='') %}{% for x in l %}{% set ns.n = ns.n + x %}{% set ns.s = ns.s ~ x %}{% endfor %}{{ ns.n }}{{ ns.s }}
{% set ns = namespace(on=true) %}{% for x in l if ns.on %}{{ x }}{% set ns.on = false %}{% endfor %}
{% set ns = namespace(on=true) %}{% for x in l if ns.on %}{{ loop.last }}{{ x }}{% set ns.on = false %}{% endfor %}
{% set ns.x = 1 %}
{% set s.x = 1 %}
{% set ns = namespace() %}{{ ns.a is defined }}{% set ns.a = [] %}{{ ns.a }}{{ ns['a'] }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set a, b = b, a %}{{ a }}{{ b }}
{% set a, b = [1] %}
{% set x = 1, 2 %}{{ x }}
{% set x %}in {{ s }} out{% endset %}[{{ x }}]
{% set x | upper %}in {{ s }}{% endset %}[{{ x }}]
{% set x | replace('i','o') | upper %}in{% endset %}[{{ x }}]
{% set x %}{% set inner = 5 %}{{ inner }}{% endset %}{{ x }}{{ inner }}
{% if i %}a{% endif %}{% if e %}a{% else %}b{% endif %}{% if z %}1{% elif i %}2{% elif s %}3{% else %}4{% endif %}
{% if z %}1{% elif e %}2{% else %}{% if i %}x{% endif %}y{% endif %}
{% if i %}{% set v = 1 %}{% endif %}{{ v }}{% if z %}{% set w = 1 %}{% endif %}{{ w }}
{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c=5) }}{{ m(b=1, a=2) }}
{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m() }}{{ m(1) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}
{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}
{% macro m() %}{{ s }}{{ late }}{% endmacro %}{% set late = 'L' %}{{ m() }}
{% macro fact(n) %}{% if n <= 1 %}1{% else %}{{ n * (fact(n - 1)|int) }}{% endif %}{% endmacro %}{{ fact(6) }}
{% macro deep(n) %}{% if n > 0 %}{{ n }}{{ deep(n - 1) }}{% endif %}{% endmacro %}{{ deep(30) }}
{% macro m() %}{% for x in l %}{{ loop.index }}{% endfor %}{% endmacro %}{% for y in ls %}{{ m() }}{{ loop.index }}{% endfor %}
{% macro m() %}{{ x }}{% endmacro %}{% for x in l %}{{ m() }}{% endfor %}
{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}
{% macro m(x) %}{% set x = x + 1 %}{{ x }}{% endmacro %}{% set x = 10 %}{{ m(1) }}{{ x }}
{% macro m() %}a{% endmacro %}{{ m() | upper }}{{ m()|length }}{{ m is defined }}{{ m is callable }}
{% macro m(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1,2) }}
{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}x{% endcall %}
{% macro dump(x, level=0) %}{% if x is mapping %}{% for k, v in x|dictsort %}{{ '  ' * level }}{{ k }}:{{ '\n' }}{{ dump(v, level + 1) }}{% endfor %}{% elif x is string %}{{ x }}{% elif x is iterable %}{% for v in x %}{{ dump(v, level + 1) }}{% endfor %}{% else %}{{ '  ' * level }}{{ x }}{{ '\n' }}{% endif %}{% endmacro %}{{ dump(d) }}{{ dump(nested) }}
{% filter upper %}abc {{ s }}{% set ff = 1 %}{% endfilter %}{{ ff }}
{% filter replace('a', 'b') | indent(2) %}a
a{% endfilter %}
{% with a = 1, b = i %}{{ a }}{{ b }}{% endwith %}{{ a }}
{% with a = 1 %}{% with b = a %}{{ b }}{% endwith %}{% endwith %}
{% generation %}gen {{ s }}{% set gg = 1 %}{% endgeneration %}{{ gg }}
{% for x in l %}{% generation %}{{ x }}{{ loop.index }}{% endgeneration %}{% endfor %}
{% for x in l %}{% generation %}{% break %}{% endgeneration %}{% endfor %}
{# comment #}a{#- c -#} b {#+ c +#} c
{# multi
line #}
x
{% raw %}{{ not }} {% this %}{% endraw %}
{%- raw -%} {{ x }} {%- endraw -%} y
{% raw %}
 a
{% endraw %}
b
  {% if i %}
    indented {{ s }}
  {% endif %}
tail
  {%- if i -%}
    both
  {%- endif -%}
tail
  {%+ if i +%}
    kept
  {%+ endif +%}
tail
a {{- s -}} b
a {{ s }}
b
x  {{ '' }}  {% if i %} y {% endif %} z
{{ s }}{% if i %}

two{% endif %}

{% if i %}a{% endif %}
{% if i %}b{% endif %}	{% if i %}c{% endif %}
{{ {'a': {'b': 1}} }}{{ {'a': {'b': 1}}['a']['b'] }}{{ [[1]] }}
{{ '}}' }}{{ '%}' }}{{ "{{" }}{{ '{%' }}{{ '{#' }}
{{ s }
{{ s
{% if i %}
{% endif %}
{% else %}
{% nonsense %}
{% break %}
{% if %}x{% endif %}
{{ }}
{{ s s }}
{{ (1 }}
{{ 1) }}
{{ [1, 2 }}
{{ s. }}
{{ s| }}
{{ s is }}
{{ 'abc }}
{% for x %}{% endfor %}
{% for in l %}{% endfor %}
{% set = 1 %}
{% set true = 1 %}
{% set x 1 %}
{% macro %}{% endmacro %}
{% macro m(a=1, b) %}{% endmacro %}
{% macro m(a, a) %}{{ a }}{% endmacro %}
{% include 'x' %}
{% import 'x' as y %}
{% extends 'x' %}
{% block b %}{% endblock %}
{% for x in l recursive %}{{ loop(x) }}{% endfor %}
{% set messages = l[1:] %}{% for m in messages %}{{ m }}{% endfor %}
{% set g = people|selectattr('x', 'defined') %}{{ g|list|length }}{{ g|list|length }}
{% set g = l|map('string') %}{% for x in g %}{{ x }}{% if x == '1' %}{% break %}{% endif %}{% endfor %}{{ g|list }}
{% set g = d|items %}{{ 'b' in g }}{% for k, v in g %}{{ k }}{% endfor %}
{% set g = l|map('string') %}{{ g|first }}{{ g|first }}{{ g|join }}
{% set g = l|select %}{% if g %}true{% endif %}{{ g[0] }}{{ g is iterable }}{{ g is sequence }}
{% set v = d.items() %}{{ v|list }}{{ v|list }}{{ v[0] }}{% if d0.items() %}t{% endif %}
{% if s is nonsense %}{% endif %}
{% if no %}{{ s|nonsense }}{% endif %}ok
{{ s|nonsense if no else 'ok' }}
{% if no %}{% for x in l %}{{ s|nonsense }}{% endfor %}{% endif %}ok
{% for x in l %}{{ x|nonsense }}{% endfor %}
{{ raise_exception('first') if no }}ok
{% if no %}{{ missing.x.y }}{% endif %}ok
{{ missing or 'k' }}{{ missing and 'k' }}{{ not missing }}{{ missing ~ 'x' }}
{{ [missing] }}{{ {'a': missing} }}{{ missing|string }}
{% set x = missing %}{{ x is defined }}{{ x }}
{% set x = none %}{{ x is defined }}{{ x }}
{{ loop is defined }}{% for x in l %}{{ loop is defined }}{{ loop.zz is defined }}{% endfor %}
{% for x in l %}{{ loop }}{% endfor %}
{% for i in range(3) %}{{ i }}{% endfor %}{{ i }}
{% for x in range(3) %}{% for x in range(x) %}{{ x }}{% endfor %}{{ x }};{% endfor %}
{% for a in l -%}
  {{ a }}
{%- endfor %}
{% for m in people %}{{ '<' + m.name + '>' }}{{ m['age']|string + '!' }}{% if not loop.last %}, {% endif %}{% endfor %}
{%- set ns = namespace(found=false) -%}
{%- for m in people[::-1] -%}{%- if m.age == 30 and not ns.found -%}{% set ns.found = true %}{{ m.name }}{%- endif -%}{%- endfor -%}
{{ [1,2,3] | map('string') | join('+') ~ '=' ~ [1,2,3]|sum }}
{{- '' -}}
"""


def cases():
    lines = [x for line in EXPRESSIONS.split("\n") for x in split_expressions(line)]
    for i, e in enumerate(lines):
        yield "{{ " + e + " }}", VALUES
        if i % 4 == 0:
            yield "[{% if " + e + " %}1{% else %}0{% endif %}]", VALUES
    blocks = STATEMENTS.strip("\n").split("\n")
    for b in blocks:
        yield b, VALUES
    for a, b in zip(blocks, blocks[1:]):
        yield "  " + a + "\r\n  " + b, VALUES
    yield from random_cases(seed=7, count=700)
    yield "{{ [none, none]|sort }}{{ d|map(attribute='name')|sort }}", VALUES
    for a, b, c in itertools.islice(zip(blocks, blocks[1:], blocks[2:]), 0, None, 2):
        yield "\n".join((a, b, c)) + "\n\n", VALUES


def split_expressions(line):
    """Expressions of a line: blanks part them, but not inside brackets or quotes nor around words."""
    glue = {"and", "or", "not", "in", "is", "if", "else", ">", "<"}
    out, depth, quote, word = [], 0, "", ""
    for ch in line + " ":
        if ch == " " and not depth and not quote:
            if word:
                out.append(word)
            word = ""
            continue
        if quote:
            quote = "" if ch == quote and not word.endswith("\\") else quote
        elif ch in "'\"":
            quote = ch
        elif ch in "([{":
            depth += 1
        elif ch in ")]}":
            depth -= 1
        word += ch
    joined, i = [], 0
    tests = {"string", "defined", "none", "mapping", "even"}
    while i < len(out):
        e = out[i]
        while True:
            last = e.split(" ")[-1]
            following = out[i + 1] if i + 1 < len(out) else None
            if last in glue or (following in glue and following != "not") or \
               (following == "not" and out[i + 2:i + 3] == ["in"]) or last == "divisibleby" or \
               (e.split(" ")[-2:-1] == ["is"] and last in {"eq", "equalto", "ne", "lt", "ge", "gt", "in",
                                                          "sameas"}):
                if following is None:
                    break
                e += " " + following
                i += 1
            else:
                break
        joined.append(e)
        i += 1
    return joined


class Random:
    """Expressions at random: what nobody thought of writing down."""

    NAMES = list(VALUES) + ["missing", "d.b", "d.a", "people[0]", "people[1].name", "nested[0]", "d.a.c"]
    ATOMS = ["1", "0", "-2", "2.5", "'a'", "'l'", "''", "' '", "none", "true", "false", "[]", "{}", "(1, 'b')",
             "['x', none, 2]", "{'k': 'v', 'a': [1]}", "'name'", "3", "range(3)", "'Ünï 😀'"]
    BINARY = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
    FILTERS = ["length", "upper", "lower", "trim", "title", "capitalize", "string", "list", "first", "last",
               "reverse", "sort", "unique", "join", "join(',')", "items", "dictsort", "tojson", "tojson(indent=1)",
               "int", "float", "abs", "min", "max", "sum", "default('D')", "default('D', true)", "map('upper')",
               "map('string')", "map(attribute='name')", "select", "reject", "select('string')", "reject('none')",
               "selectattr('age')", "selectattr('name', 'defined')", "replace('l', 'L')", "indent", "safe",
               "map('length')", "rejectattr('x', 'none')", "select('defined')", "sort(reverse=true)", "count"]
    TESTS = ["defined", "undefined", "none", "string", "number", "mapping", "iterable", "sequence", "boolean",
             "true", "false", "integer", "float", "odd", "even", "eq(1)", "in([1, 'a', none])", "callable",
             "lower", "upper", "not none", "not string", "not defined", "divisibleby(2)", "gt(1)"]
    METHODS = ["split()", "split(',')", "split('l', 1)", "strip()", "lstrip()", "rstrip('d')", "upper()", "lower()",
               "title()", "replace('a', 'b')", "startswith('H')", "endswith('d')", "find('l')", "rfind('o')",
               "count('l')", "splitlines()", "items()", "keys()", "values()", "get('a')", "get('zz', 1)",
               "join(['a', 'b'])", "partition(' ')", "rsplit(' ', 1)", "index(1)", "capitalize()", "isdigit()",
               "removeprefix('He')", "format(1, 2)", "copy()", "nothing()", "a", "b", "name", "x.y"]
    SLICES = ["[0]", "[-1]", "[1]", "[5]", "['a']", "['name']", "[1:]", "[:1]", "[:-1]", "[::-1]", "[::2]", "[-2:]",
              "[none]", "[true]", "[3:1:-1]", "[:2][0]", "['items']"]

    def __init__(self, seed):
        import random
        self.r = random.Random(seed)

    def expression(self, depth):
        r = self.r
        if depth == 0 or r.random() < 0.15:
            return r.choice(self.NAMES) if r.random() < 0.7 else r.choice(self.ATOMS)
        inner = lambda: self.expression(depth - 1)
        kind = r.randrange(10)
        if kind < 2:
            return f"({inner()} {r.choice(self.BINARY)} {inner()})"
        if kind < 5:
            return f"({inner()})|{r.choice(self.FILTERS)}"
        if kind < 6:
            return f"({inner()} is {r.choice(self.TESTS)})"
        if kind < 7:
            return f"({inner()}).{r.choice(self.METHODS)}"
        if kind < 8:
            return f"({inner()}){r.choice(self.SLICES)}"
        if kind < 9:
            return r.choice([f"[{inner()}, {inner()}]", f"({inner()} if {inner()} else {inner()})",
                             f"{{'a': {inner()}, 'b': {inner()}}}", f"(not {inner()})", f"(-({inner()}))",
                             f"({inner()},)", f"({inner()} if {inner()})"])
        return inner()

    def statement(self):
        e = self.expression(self.r.randrange(1, 4))
        return self.r.choice(["{{ " + e + " }}", "{{ " + e + " }}", "{% for v in " + e + " %}{{ v }},{% else %}-{% endfor %}",
                              "{% for v in " + e + " if v %}{{ loop.index }}{{ v }}{{ loop.last }}{% endfor %}",
                              "{% set v = " + e + " %}{{ v }}|{{ v }}", "{% if " + e + " %}1{% else %}0{% endif %}"])


def random_cases(seed, count):
    r = Random(seed)
    for _ in range(count):
        yield r.statement(), VALUES
