"""Mail folders. The lab's are flat: all lie directly under the root."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from m365lab.graph import errors
from m365lab.graph.desk import Call
from m365lab.graph.listing import page, read_query
from m365lab.graph.messages import folder_of
from m365lab.graph.odata import Kind, Schema
from m365lab.graph.view import FOLDER_PROPERTIES, folder_json, only, owner_context, selected
from m365lab.mailstore import Folder

_FILTERABLE: Schema = {"displayName": Kind.TEXT}


async def list_folders(call: Call) -> Response:
    """GET mailFolders."""
    query = read_query(call, _FILTERABLE, default_top=10, most=1000)
    select = _select(call)

    def show(folder: Folder, whole: bool) -> dict[str, Any]:
        return folder_json(folder) if whole else only(folder_json(folder), select)

    folders = list(call.mailbox.store.folders.values())
    return JSONResponse(page(call, query, folders, owner_context(call.mailbox, "mailFolders"), _FILTERABLE, show))


async def get_folder(call: Call) -> Response:
    """GET mailFolders/{folder}."""
    return _shown(call, folder_of(call))


async def create_folder(call: Call) -> Response:
    """POST mailFolders: 409 when there is one of that name ([I] code ErrorFolderExists)."""
    name = call.json.get("displayName")
    if not isinstance(name, str) or not name.strip():
        raise errors.invalid_request("The property 'displayName' is required.")
    store = call.mailbox.store
    if store.folder(name) is not None:
        raise errors.GraphError(409, "ErrorFolderExists", "A folder with the specified name already exists.")
    store.folders[name] = Folder(name)
    return _shown(call, store.folders[name], status=201)


def _shown(call: Call, folder: Folder, *, status: int = 200) -> Response:
    context = {"@odata.context": f"{call.base}{owner_context(call.mailbox, 'mailFolders/$entity')}"}
    return JSONResponse(context | only(folder_json(folder), _select(call)), status)


def _select(call: Call) -> tuple[str, ...]:
    return selected(call.request.query_params.get("$select"), FOLDER_PROPERTIES, "mailFolder")
