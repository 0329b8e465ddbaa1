import copy, sys
from typing import Any
import pytest
from answers import *
from expectation import expected
from invariants import wrong

def leaves(value, path=()):
    if isinstance(value, dict):
        for k,v in value.items(): yield from leaves(v, (*path,k))
        if value: yield path
    elif isinstance(value, list):
        for k,v in enumerate(value): yield from leaves(v,(*path,k))
        if value: yield path
    else: yield path

def changed(tree, path):
    tree=copy.deepcopy(tree)
    if not path: return None
    at=tree
    for k in path[:-1]: at=at[k]
    v=at[path[-1]]
    if isinstance(v,bool): at[path[-1]]=not v
    elif isinstance(v,str): at[path[-1]]=v+"x"
    elif isinstance(v,int): at[path[-1]]=v+1
    else: del at[path[-1]]
    return tree

@pytest.mark.parametrize("answers",[{}, EVERYTHING|{"vault_access":"rbac","identity":"user"},{"network":"private","services":"blob-storage,cosmos-db"}])
def test_x(bake,compiler,answers):
    good=compiler.snapshot(bake(**answers)/"infra/main.bicepparam")
    want=expected(answers,good)
    assert wrong(good,want)==[]
    import time; t=time.time(); n=0; un=set()
    for p in leaves(good):
        if not p or p[0]=="diagnostics": continue
        b=changed(good,p); n+=1
        try: w=wrong(b,want)
        except Exception as e: w=[repr(e)]
        if not w:
            kind=good["predictedResources"][p[1]]["type"] if p[0]=="predictedResources" and len(p)>1 else p[0]
            un.add((kind,".".join(str(k) for k in p[2:])))
    print(n,time.time()-t)
    for u in sorted(un): print(u)
    assert 0
